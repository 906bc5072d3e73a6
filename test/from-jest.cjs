/** Gives a package that jest itself is made of, wherever npm has put it. */
const core = require.resolve('@jest/core', { paths: [require.resolve('jest')] });
const config = require.resolve('jest-config', { paths: [core] });

module.exports = (name) => require(require.resolve(name, { paths: [core, config] }));
