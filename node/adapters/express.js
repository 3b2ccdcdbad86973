'use strict'

// Express 4 and 5, whose requests and responses are those of node:http.

const { receiveCallbacks } = require('./http.js')

module.exports = { receiveCallbacks }
