import type { ServingError } from '../../../core/errors.ts'

/** Ollama's errors are one line of text. */
export const ollamaErrorBody = ({ message }: ServingError) => ({ error: message })
