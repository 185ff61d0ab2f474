// The official MCP client for JavaScript: `node mcp_client.mjs URL client` is that of today, with `sdk` the one before. It
// knows nothing but the address, signs in where it must, reads a graph, and then writes into it. What a person is to open
// stands on a line of its output, as JSON, and the address at which they end is a line of its input. Its last line says
// which tokens it has had.
import { once } from "node:events";
import readline from "node:readline";

const [url, which] = process.argv.slice(2);
const input = readline.createInterface({ input: process.stdin });
const parts =
  which === "client"
    ? ["@modelcontextprotocol/client"]
    : ["auth", "index", "streamableHttp"].map((part) => `@modelcontextprotocol/sdk/client/${part}.js`);
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = Object.assign(
  {},
  ...(await Promise.all(parts.map((part) => import(part)))),
);

const say = (said) => console.log(JSON.stringify(said));
const had = [];
const kept = {};
let back;

/** Where the client keeps what it gets, and what it does with an address that is for a person. */
const provider = {
  redirectUrl: "http://127.0.0.1:9/callback",
  clientMetadata: {
    client_name: `The ${which} for JavaScript`,
    redirect_uris: ["http://127.0.0.1:9/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    token_endpoint_auth_method: "none",
    // The one before cannot ask for more later: it refreshes what it has, which is good for the same, and gives up.
    ...(which === "sdk" ? { scope: "notes:write" } : {}),
  },
  state: () => "of this test",
  clientInformation: () => kept.client,
  saveClientInformation: (client) => {
    kept.client = client;
  },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => {
    kept.tokens = tokens;
    had.push(tokens.access_token);
  },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => {
    kept.verifier = verifier;
  },
  saveDiscoveryState: (state) => {
    kept.discovery = state;
  },
  discoveryState: () => kept.discovery,
  redirectToAuthorization: async (address) => {
    const answered = once(input, "line");
    say({ open: address.href });
    back = new URL((await answered)[0]).searchParams;
  },
};

/** Does it, and once more after a sign-in where it was told to sign in. */
async function signedIn(transport, what) {
  try {
    return await what();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport().finishAuth(which === "client" ? back : back.get("code"));
    return await what();
  }
}

let transport;
const client = new Client({ name: "of this test", version: "1" });
await signedIn(
  () => transport,
  () => {
    transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
    return client.connect(transport);
  },
);
const call = (name, args) =>
  signedIn(
    () => transport,
    () => client.callTool({ name, arguments: args }),
  );
const read = await call("read_graph", {});
const entity = { name: "ann", entityType: "person", observations: ["was here"] };
const written = await call("create_entities", { entities: [entity] });
say({ found: { had, client: kept.client, errors: [read.isError ?? false, written.isError ?? false] } });
await client.close();
input.close();
