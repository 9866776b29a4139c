/** How evenly service was shared. Service is in weighted tokens; whoever calls says how they are weighted. */

/** Service that each party had received by the end of each of equal bins, and when it had work under way. */
export interface ServiceSeries {
  /** Cumulative, ascending; all parties have the same bins. */
  readonly service: readonly number[]
  /** Whether the party wanted service during the whole bin. */
  readonly isBacklogged: readonly boolean[]
}

/**
 * Jain's fairness index of shares: 1 when all are equal, 1/n when one has everything; 1 for nobody or nothing.
 * R. Jain, D. Chiu, W. Hawe: A Quantitative Measure of Fairness, 1984.
 */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares)
}

/**
 * Mean service in a bin of each party, over the bins in which it and at least one other were backlogged; parties without
 * such bins are left out. What a party got while nobody else wanted anything says nothing about how service was shared,
 * and neither does the total: in the end everybody has what they asked for.
 */
export function competingRates(parties: readonly ServiceSeries[]): number[] {
  const numBusy = Array.from(parties[0]?.service ?? [], (_, bin) =>
    parties.reduce((count, { isBacklogged }) => count + (isBacklogged[bin] === true ? 1 : 0), 0),
  )
  return parties.flatMap(({ service, isBacklogged }) => {
    let gained = 0
    let numBins = 0
    service.forEach((sum, bin) => {
      if (isBacklogged[bin] !== true || numBusy[bin]! < 2) return
      gained += sum - (bin === 0 ? 0 : service[bin - 1]!)
      numBins += 1
    })
    return numBins === 0 ? [] : [gained / numBins]
  })
}

/**
 * The largest difference between the service that two parties received in any stretch of time in which both were
 * backlogged: the quantity that fair queueing bounds, as measured for virtual token counters (Sheng et al., Fairness
 * in Serving Large Language Models, 2024). 0 when no two were ever backlogged together.
 */
export function largestServiceGap(parties: readonly ServiceSeries[]): number {
  let largest = 0
  for (let first = 0; first < parties.length; first += 1) {
    for (let second = first + 1; second < parties.length; second += 1) {
      largest = Math.max(largest, gapBetween(parties[first]!, parties[second]!))
    }
  }
  return largest
}

/** Over a stretch, the spread of the difference of two cumulative counts is the largest gap in any part of it. */
function gapBetween(one: ServiceSeries, other: ServiceSeries): number {
  let largest = 0
  let low = Infinity
  let high = -Infinity
  for (let bin = 0; bin < one.service.length; bin += 1) {
    if (one.isBacklogged[bin] !== true || other.isBacklogged[bin] !== true) {
      low = Infinity
      high = -Infinity
      continue
    }
    if (low === Infinity) low = high = differenceBefore(one, other, bin)
    const difference = one.service[bin]! - other.service[bin]!
    low = Math.min(low, difference)
    high = Math.max(high, difference)
    largest = Math.max(largest, high - low)
  }
  return largest
}

function differenceBefore(one: ServiceSeries, other: ServiceSeries, bin: number): number {
  return bin === 0 ? 0 : one.service[bin - 1]! - other.service[bin - 1]!
}
