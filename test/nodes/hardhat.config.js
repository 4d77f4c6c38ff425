// Blocks come when they are asked for, and hold what waits in the order in which it came: as test/support/nodes/hardhat.ts needs it.
export default {
  networks: {
    node: {
      type: 'edr-simulated',
      chainId: 31337,
      mining: { auto: false, interval: 0, mempool: { order: 'fifo' } },
    },
  },
}
