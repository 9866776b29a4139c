/** Writes `docs/configuration.md` from the table of settings: `npm run docs`. A unit test holds the two together. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { settingsMarkdown } from '../src/config/describe.ts'
import { settings } from '../src/config/schema.ts'

const intro = `# Configuration

Every setting of \`switchyard serve\` is a flag, an environment variable and a key of the YAML file that \`--config FILE\`
or \`SWITCHYARD_CONFIG\` names. A flag wins over the environment, the environment over the file, the file over the
default. Keys of the file are the flags without their dashes:

\`\`\`yaml
model: /models/qwen3-0.6b-q8_0.gguf
port: 8000
max-tbt-ms: 40
\`\`\`

A switch takes no value: \`--batch-invariant\` turns it on, \`--no-batch-invariant\` off; elsewhere it is \`true\` or \`false\`.
An unknown flag or key is an error, and so is a \`SWITCHYARD_\` variable that is nearly one of these. Paths are relative to
the working directory. \`switchyard serve --print-config\` shows every value and where it was set.

Two more variables are read, by all commands: \`SWITCHYARD_GGML_DIR\`, a folder with ggml and llama libraries to use
instead of the packaged ones, and \`SWITCHYARD_HOME\`, where \`switchyard setup\` installs (default: \`~/.switchyard\`).

This file is written by \`npm run docs\`.

`

export const configurationDocs = (): string => intro + settingsMarkdown(settings)

export const configurationPath = fileURLToPath(new URL('../docs/configuration.md', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(configurationPath, configurationDocs())
