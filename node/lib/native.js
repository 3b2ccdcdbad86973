'use strict'

// The addon, which `npm run build` puts beside index.js.

try {
  module.exports = require('../oss-callback.node')
} catch (cause) {
  if (cause.code !== 'MODULE_NOT_FOUND') {
    throw cause
  }
  const folder = require('node:path').dirname(__dirname)
  throw new Error(`oss-callback is not built: run \`npm run build\` in ${folder} (it needs Rust)`, { cause })
}
