// For `node --import`: lets a program outside of their project find the frameworks of package.json.

import { register } from 'node:module'

const installed = JSON.stringify(new URL('any.js', process.env.FRAMEWORKS).href)

register(
  `data:text/javascript,${encodeURIComponent(`
    export const resolve = (name, context, next) =>
      next(name, context).catch(() => next(name, { ...context, parentURL: ${installed} }))
  `)}`,
)
