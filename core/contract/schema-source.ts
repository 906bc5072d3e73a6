/** A JSON Schema (draft 2020-12): the object itself, or the file: URL of a JSON file that holds it. */
export type SchemaSource = Readonly<Record<string, unknown>> | URL;
