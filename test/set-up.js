/** Jest compiles TypeScript, so that a library may be written in it here, whatever Node would say. */
Object.defineProperty(process, 'features', {
  value: { ...process.features, typescript: 'transform' },
  configurable: true,
});
