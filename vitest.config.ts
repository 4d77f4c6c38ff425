import { defineConfig } from 'vitest/config'

/**
 * Four projects, from pure to whole, all with fixed seeds. Two cores: files of the store and chain projects share one Postgres server,
 * each on a database of its own; the simulation restarts its server, so it has its own.
 */
const project = (name: string, extra: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], retry: 0, ...extra },
})

const withPostgres = { globalSetup: ['test/support/postgres-server.ts'], hookTimeout: 60_000 }

export default defineConfig({
  test: {
    // Many files wait more than they work: for blocks, rests, leases, other processes.
    maxWorkers: 4,
    reporters: ['default'],
    projects: [
      project('core', { testTimeout: 30_000 }),
      project('store', { ...withPostgres, testTimeout: 30_000 }),
      project('chain', { ...withPostgres, testTimeout: 120_000 }),
      project('sim', { hookTimeout: 60_000, testTimeout: 300_000 }),
    ],
  },
})
