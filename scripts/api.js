/**
 * Writes the reports of the public interface in api/, one for each entry point of the package:
 * every exported name, with its type. A change of the interface changes a report, and so is seen in
 * review.
 *
 *     node scripts/api.js           writes the reports, as `npm run format` does
 *     node scripts/api.js --check   writes nothing, and fails if a report is stale, as `npm run lint` does
 *
 * Both fail if an exported name uses a type that no entry point exports. What is marked `@internal`
 * is not part of the interface: the compiler leaves it out of the declarations that are read here.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { root } from './run.js';

const FOLDER = path.join(root, 'api');
const SCRATCH = path.join(root, 'node_modules/.cache/api');

const isCheck = process.argv.includes('--check');
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const { compilerOptions } = JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8'));
const entries = Object.entries(exports)
  .filter(([, { types }]) => types !== undefined)
  .map(([name, { types }]) => ({
    name: name === '.' ? 'bedrock-node' : name.slice(2),
    file: path.join(root, types),
  }));
const configs = entries.map(configOf);

mkdirSync(FOLDER, { recursive: true });
// The declarations are read once for all entry points.
const compilerState = CompilerState.create(configs[0], {
  additionalEntryPoints: entries.map(({ file }) => file),
});
const findings = configs.map(extract);
rmSync(SCRATCH, { recursive: true, force: true });
const faults = findings.flatMap(leaks);
if (isCheck) {
  const stale = findings.filter(({ isStale }) => isStale).map(({ name }) => `api/${name}.api.md`);
  if (stale.length > 0)
    faults.push(`The public interface differs from ${stale.join(', ')}: run "npm run format"`);
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;

function configOf({ name, file }) {
  const { lib, target, types, module, moduleResolution } = compilerOptions;
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: file,
      compiler: {
        overrideTsconfig: {
          compilerOptions: { lib, target, types, module, moduleResolution, skipLibCheck: true },
          files: entries.map((entry) => entry.file),
        },
      },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: FOLDER,
        reportTempFolder: SCRATCH,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: {
          default: { logLevel: 'none' },
          'ae-forgotten-export': { logLevel: 'warning' },
        },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: path.join(root, 'package.json'),
  });
}

/** @returns whether the report is stale, and which names the entry point uses and does not export */
function extract(config, index) {
  const forgotten = [];
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !isCheck,
    compilerState,
    messageCallback(message) {
      message.handled = true;
      if (message.messageId === 'ae-forgotten-export') forgotten.push(message.text);
      else if (message.logLevel === 'error') throw new Error(message.formatMessageWithLocation(root));
    },
  });
  return { name: entries[index].name, isStale: apiReportChanged, forgotten };
}

/**
 * The types that an entry point uses and none exports. The other entry points may use what the
 * first one exports.
 */
function leaks({ name, forgotten }) {
  const main = readFileSync(path.join(FOLDER, `${entries[0].name}.api.md`), 'utf8');
  return forgotten
    .map((text) => /"(\w+)"/.exec(text)?.[1] ?? text)
    .filter((type) => !new RegExp(`^export .*\\b${type}\\b`, 'm').test(main))
    .map((type) => `${name}: exported names use ${type}, which is not exported`);
}
