/** What was typed, as one line for a shell; keys are left out, because reports are passed on. */
export function commandText(args: readonly string[]): string {
  const shown = args.map((arg, index) => {
    if (args[index - 1] === keyFlag) return hidden
    return arg.startsWith(`${keyFlag}=`) ? `${keyFlag}=${hidden}` : quote(arg)
  })
  return ['switchyard', ...shown].join(' ')
}

const keyFlag = '--api-key'
const hidden = '(hidden)'

function quote(argument: string): string {
  return /^[\w./:=,@+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}
