import { describe, expect, it } from 'vitest'

import { strftime } from './strftime.ts'

describe('strftime', () => {
  const date = new Date(2024, 1, 9, 0, 5, 7)

  it('writes dates as C does, in English', () => {
    expect(strftime(date, '%d %b %Y')).toBe('09 Feb 2024')
    expect(strftime(date, '%A, %B %-d, %y, day %j')).toBe('Friday, February 9, 24, day 040')
    expect(strftime(date, '%Y-%m-%dT%H:%M:%S %I %p')).toBe('2024-02-09T00:05:07 12 AM')
  })

  it('counts the days of a leap year', () => {
    expect(strftime(new Date(2024, 11, 31), '%j')).toBe('366')
    expect(strftime(new Date(2023, 11, 31), '%j')).toBe('365')
  })

  it('leaves unknown fields alone', () => {
    expect(strftime(date, '100%% %Q')).toBe('100% %Q')
  })
})
