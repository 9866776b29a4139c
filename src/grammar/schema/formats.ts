/**
 * Formats of strings as regular expressions. Each stands for a part of what the format allows that any validator
 * accepts: no 29th of February, no address in its abbreviated forms.
 */
const hour = '([01]\\d|2[0-3])'
const date =
  '\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))'
const time = `${hour}:[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]${hour}:[0-5]\\d)`
const byte = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const label = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?'
const count = '\\d{1,9}'
const days = `(${count}Y(${count}M)?(${count}D)?|${count}M(${count}D)?|${count}D)`
const hours = `T(${count}H(${count}M)?(${count}S)?|${count}M(${count}S)?|${count}S)`
const path = "[a-zA-Z0-9._~!$&'()*+,;=:@-]*"

export const formats: Readonly<Record<string, string>> = {
  date,
  time,
  'date-time': `${date}T${time}`,
  duration: `P(${count}W|${days}(${hours})?|${hours})`,
  email: `[a-zA-Z0-9]+([._+-][a-zA-Z0-9]+){0,8}@(${label}\\.){1,4}[a-zA-Z]{2,10}`,
  hostname: `${label}(\\.${label}){0,5}`,
  ipv4: `${byte}(\\.${byte}){3}`,
  ipv6: '[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}',
  uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  uri: `(https?|ftp)://${label}(\\.${label}){0,5}(:[1-9]\\d{0,3})?(/${path})*(\\?${path})?(#${path})?`,
}
