// Puts the licence texts into the package while it is packed: npm takes nothing from outside of this folder,
// and no links.

import { copyFileSync, rmSync } from 'node:fs'

for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) {
  const here = new URL(`../${name}`, import.meta.url)
  if (process.argv.includes('--remove')) {
    rmSync(here, { force: true })
  } else {
    copyFileSync(new URL(`../../${name}`, import.meta.url), here)
  }
}
