/**
 * A migrator in a process of its own, for tests that kill it: `node migrate-child.ts <url> <directory> [<file>]`. With a file's
 * name it kills itself once that file was applied, between two files.
 */

import { migrate } from '../../src/store/migrate.ts'

const [url = '', directory = '', lastFile] = process.argv.slice(2)

await migrate({
  url,
  directory,
  log: (_, facts) => {
    if (lastFile !== undefined && facts?.['file'] === lastFile) process.kill(process.pid, 'SIGKILL')
  },
})
