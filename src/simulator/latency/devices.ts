/** What one device can do at most, as its maker says. */
export interface Device {
  /** Dense matrix products on 16-bit floats (32-bit on CPUs), in floating-point operations a second. */
  readonly flops: number
  /** Of its memory, in bytes a second. */
  readonly bandwidth: number
  readonly memoryBytes: number
  readonly source: string
}

const tera = 1e12
const giga = 1e9
const nvidia = 'https://www.nvidia.com/en-us/data-center'

/** Makers quote matrix throughput with sparsity where it exists; the figures here are without. */
export const devices = {
  b200: gpu(2250, 8000, 180, 'https://www.nvidia.com/en-us/data-center/dgx-b200/ (one of eight)'),
  h200: gpu(989, 4800, 141, `${nvidia}/h200/`),
  'h100-sxm': gpu(989, 3350, 80, `${nvidia}/h100/`),
  'h100-pcie': gpu(756, 2000, 80, `${nvidia}/h100/ (PCIe data sheet of 2023)`),
  'a100-80gb': gpu(312, 2039, 80, `${nvidia}/a100/ (SXM)`),
  'a100-40gb': gpu(312, 1555, 40, `${nvidia}/a100/`),
  l40s: gpu(362, 864, 48, `${nvidia}/l40s/`),
  l4: gpu(121, 300, 24, `${nvidia}/l4/`),
  a10: gpu(125, 600, 24, `${nvidia}/products/a10-gpu/`),
  t4: gpu(65, 300, 16, `${nvidia}/tesla-t4/`),
  'rtx-4090': gpu(165, 1008, 24, 'NVIDIA Ada GPU architecture whitepaper, table of the RTX 4090'),
  'rtx-3090': gpu(71, 936, 24, 'NVIDIA GA102 GPU architecture whitepaper, table of the RTX 3090'),
  mi300x: gpu(1307, 5300, 192, 'https://www.amd.com/en/products/accelerators/instinct/mi300/mi300x.html'),
  'm2-ultra': gpu(27.2, 800, 192, 'Apple, M2 Ultra press release of June 2023; 32-bit floats'),
  /** 96 cores at 2.4 GHz, 32 operations a cycle; 12 channels of DDR5-4800. */
  'epyc-9654': gpu(
    7.4,
    460.8,
    768,
    'https://www.amd.com/en/products/processors/server/epyc/4th-generation-9004-and-8004-series.html',
  ),
  /** 56 cores at 2.0 GHz, 64 operations a cycle, no AMX; 8 channels of DDR5-4800. */
  'xeon-8480': gpu(7.2, 307.2, 512, 'https://ark.intel.com (Xeon Platinum 8480+)'),
} as const satisfies Record<string, Device>

export type DeviceName = keyof typeof devices

export const deviceNames = Object.keys(devices) as [DeviceName, ...DeviceName[]]

function gpu(teraFlops: number, gigabytesPerSecond: number, gigabytes: number, source: string): Device {
  return {
    flops: teraFlops * tera,
    bandwidth: gigabytesPerSecond * giga,
    memoryBytes: gigabytes * giga,
    source,
  }
}
