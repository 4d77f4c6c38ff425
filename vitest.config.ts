import { defineConfig } from 'vitest/config'

/**
 * Four projects, from pure to whole. `npm test` runs the first three with fixed seeds; `npm run test:all` adds the rest.
 * Two cores: files of the store and chain projects share one Postgres server, each on a database of its own.
 */
const project = (name: string, extra: Record<string, unknown> = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], retry: 0, ...extra },
})

const withPostgres = { globalSetup: ['test/support/postgres-server.ts'], hookTimeout: 60_000 }

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ['default'],
    projects: [
      project('core', { testTimeout: 30_000 }),
      project('store', { ...withPostgres, testTimeout: 30_000 }),
      project('chain', { ...withPostgres, testTimeout: 120_000 }),
      project('sim', { ...withPostgres, testTimeout: 600_000 }),
    ],
  },
})
