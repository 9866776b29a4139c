/** The thread that carries blocks between the pool and the tiers. `carrier-thread.ts` is the other end. */
import { parentPort, workerData } from 'node:worker_threads'
import { openPoolBlocks } from '../executor/pool-blocks.ts'
import { BlockCarrier } from '../tiers/block-carrier.ts'
import type { CarrierSetup, FromCarrier, ToCarrier } from './carrier-thread.ts'

const { pool, places, pieceBytes } = workerData as CarrierSetup
const send = (message: FromCarrier): void => parentPort!.postMessage(message)
const carrier = new BlockCarrier({
  memory: openPoolBlocks(pool),
  places,
  pieceBytes,
  onDone: (outcome) => send({ type: 'done', outcome }),
  onFault: (error) => send({ type: 'fault', error }),
  onBroken: (error) => send({ type: 'broken', error }),
})

parentPort!.on('message', (message: ToCarrier) => {
  if (message === 'close') void carrier.close().then(() => parentPort!.close())
  else carrier.start(message)
})
