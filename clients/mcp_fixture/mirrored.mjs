// Headers of the stateless revision that repeat arguments: `Mcp-Param-…`, where a tool's schema says `x-mcp-header`.

// What is wrong with the headers, or undefined.
export function mismatch(headers, schema, given = {}) {
  for (const [name, { "x-mcp-header": suffix }] of Object.entries(schema?.properties ?? {})) {
    if (suffix === undefined) continue;
    const said = headers[`mcp-param-${suffix.toLowerCase()}`];
    const value = given[name] ?? undefined;
    if ((said === undefined) !== (value === undefined))
      return `Mcp-Param-${suffix} and \`${name}\` are not both there`;
    if (value === undefined) continue;
    const read = plain(said);
    if (read === undefined) return `Mcp-Param-${suffix} is not Base64`;
    if (read !== String(value)) return `Mcp-Param-${suffix} is not what \`${name}\` says`;
  }
  return undefined;
}

// The text that a header's value stands for; undefined where it is marked as Base64 and is none.
export function plain(value) {
  const inner = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  if (inner === undefined) return value;
  const bytes = Buffer.from(inner, "base64");
  return bytes.toString("base64") === inner ? bytes.toString() : undefined;
}
