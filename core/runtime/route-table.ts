/** The routes of one provider, prepared for lookup: paths split, schemas compiled. */
import { BedrockError, invalid, messageOf } from '../base/errors.js';
import { checkRouteShape, type ProviderRoute, type RouteMethod } from '../contract/route.js';
import { formatPath } from '../validation/issues.js';
import { compileSchema, type SchemaCheck } from '../validation/schema.js';

interface Row {
  readonly route: ProviderRoute;
  readonly steps: readonly string[];
  readonly check: SchemaCheck | undefined;
}

/** A route and the values from the path. */
export interface RouteMatch {
  readonly route: ProviderRoute;
  readonly params: Readonly<Record<string, string>>;
  /** @returns the JSON body with its defaults @throws INVALID_ARGUMENT */
  readonly validBody: (body: unknown) => unknown;
}

export class RouteTable {
  readonly #rows: readonly Row[];

  /**
   * @param maker name of the provider's type in messages
   * @throws START_FAILED
   */
  constructor(routes: unknown, maker: string) {
    if (!Array.isArray(routes))
      throw new BedrockError('START_FAILED', `${maker} has routes that are not a list`);
    const seen = new Set<string>();
    this.#rows = (routes as unknown[]).map((route) => {
      checkRouteShape(route, maker);
      const steps = route.path.split('/').slice(1);
      const shape = [route.method, ...steps.map((step) => (step.startsWith(':') ? ':' : step))].join('/');
      if (seen.has(shape))
        throw new BedrockError('START_FAILED', `${maker} has two routes for ${route.method} ${route.path}`);
      seen.add(shape);
      return { route, steps, check: schemaOf(route, maker) };
    });
  }

  get all(): readonly ProviderRoute[] {
    return this.#rows.map(({ route }) => route);
  }

  /**
   * @param steps of a path, decoded
   * @returns the route; the methods of the path, if this one is not among them; undefined if no
   *   route has the path
   */
  find(method: string, steps: readonly string[]): RouteMatch | ReadonlySet<string> | undefined {
    const fitting = this.#rows.filter((row) => fits(row.steps, steps)).sort(byWords);
    if (fitting.length === 0) return undefined;
    const asked = method === 'HEAD' ? 'GET' : (method as RouteMethod);
    const row = fitting.find(({ route }) => route.method === asked);
    if (row === undefined) {
      const methods = fitting.map(({ route }) => route.method);
      return new Set<string>(methods.includes('GET') ? [...methods, 'HEAD'] : methods);
    }
    const params = Object.fromEntries(
      row.steps.flatMap((step, at) => (step.startsWith(':') ? [[step.slice(1), steps[at] ?? '']] : [])),
    );
    return { route: row.route, params, validBody: (body) => validBody(row.check, body) };
  }
}

function fits(pattern: readonly string[], steps: readonly string[]): boolean {
  return (
    pattern.length === steps.length &&
    pattern.every((step, at) => (step.startsWith(':') ? steps[at] !== '' : step === steps[at]))
  );
}

/** A literal step comes before a step that matches anything. */
function byWords(one: Row, other: Row): number {
  const at = one.steps.findIndex(
    (step, index) => step.startsWith(':') !== other.steps[index]?.startsWith(':'),
  );
  if (at === -1) return 0;
  return one.steps[at]?.startsWith(':') === true ? 1 : -1;
}

function schemaOf({ method, path, body }: ProviderRoute, maker: string): SchemaCheck | undefined {
  if (body === undefined || body === 'bytes') return undefined;
  try {
    return compileSchema(body.schema);
  } catch (cause) {
    const text = `${maker} has the route ${method} ${path} with a schema that cannot be used: ${messageOf(cause)}`;
    throw new BedrockError('START_FAILED', text, { cause });
  }
}

function validBody(check: SchemaCheck | undefined, body: unknown): unknown {
  if (check === undefined) return body;
  const { value, faults } = check(body);
  if (faults.length === 0) return value;
  const text = faults.map(({ path, message }) => `${formatPath(path)}: ${message}`).join('; ');
  throw invalid(`the body does not fit: ${text}`);
}
