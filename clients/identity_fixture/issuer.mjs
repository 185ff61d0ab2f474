// A real issuer, npm's oidc-provider: `node issuer.mjs PORT [REDIRECT]`. It gives out JWT access tokens (RFC 9068) for the resource
// that is asked for, `https://gate.example.com` where none is: to the program `batch` for itself, and to people who sign in
// through the client `cli`, a public one with PKCE, or through one that has registered itself (RFC 7591). Whoever signs in
// as ann is in the group `platform`. With an address to go back to there is the client `gate`, whose ID tokens say all that.
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const port = Number(process.argv[2]);
const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig" };
const groups = { ann: ["platform", "everyone"] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "batch",
      client_secret: "a-secret-of-this-test",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: "cli",
      token_endpoint_auth_method: "none",
      application_type: "native",
      redirect_uris: ["http://127.0.0.1/callback"],
    },
    ...(process.argv[3]
      ? [{ client_id: "gate", client_secret: "a-secret+of/the gate", redirect_uris: [process.argv[3]] }]
      : []),
  ],
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["of this test"] },
  extraTokenClaims: (_, token) =>
    token.accountId
      ? {
          email: `${token.accountId}@example.com`,
          email_verified: true,
          groups: groups[token.accountId] ?? [],
        }
      : {},
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://gate.example.com",
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        audience: resource,
        scope: "call notes:write",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: id,
      email: `${id}@example.com`,
      email_verified: id !== "eve",
      groups: groups[id] ?? [],
    }),
  }),
  jwks: { keys: [key] },
});
provider.listen(port, "127.0.0.1");
