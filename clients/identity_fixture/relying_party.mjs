// An application of npm's openid-client, for one scenario: `node relying_party.mjs SCENARIO ISSUER CLIENT SECRET REDIRECT`.
// It has no browser: what a person is to open stands on a line of its output, as JSON, and the address at which they end
// is a line of its input. Its last line says what it has found.
import { once } from "node:events";
import readline from "node:readline";
import * as oidc from "openid-client";

const [scenario, issuer, id, secret, redirect] = process.argv.slice(2);
const input = readline.createInterface({ input: process.stdin });
const say = (said) => console.log(JSON.stringify(said));

// The gate of a test is on this machine, without TLS.
const insecure = { execute: [oidc.allowInsecureRequests] };

/** What a person comes back with who was sent to `url`. */
async function browse(url) {
  const answered = once(input, "line");
  say({ open: url.href ?? url });
  return (await answered)[0];
}

/** The code of the error that `refused` ends with. */
async function errorOf(refused) {
  try {
    await refused;
  } catch (error) {
    // Where the answer has a challenge, openid-client looks no further.
    return error.error ?? (await error.response?.json())?.error ?? `${error.code}: ${error.message}`;
  }
  return "none";
}

function discover(auth, metadata = {}) {
  return oidc.discovery(new URL(issuer), id, metadata, auth, insecure);
}

/** Tokens of whoever signs in: openid-client checks the state, the nonce, who answers, and the ID token. */
async function signIn(config, parameters = {}) {
  const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()];
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect,
    scope: "openid profile email groups offline_access",
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...parameters,
  });
  const back = new URL(await browse(url));
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 3600 };
  return await oidc.authorizationCodeGrant(config, back, checks);
}

/** Everything that an application does with what it has got. */
async function use(config, tokens) {
  const claims = tokens.claims();
  const user = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  return { claims, user, refreshed, again: refreshed.claims() };
}

const scenarios = {
  async code() {
    const config = await discover(oidc.ClientSecretBasic(secret));
    // Signatures need no check where the token came by TLS (OpenID Connect Core §3.1.3.7): here it did not, and they are.
    oidc.enableNonRepudiationChecks(config);
    const tokens = await signIn(config);
    const { refreshed, ...found } = await use(config, tokens);
    const before = await oidc.tokenIntrospection(config, refreshed.access_token);
    await oidc.tokenRevocation(config, refreshed.refresh_token);
    const after = await oidc.tokenIntrospection(config, refreshed.access_token);
    const refused = await errorOf(oidc.refreshTokenGrant(config, refreshed.refresh_token));
    const silent = await signIn(config, { prompt: "none" });
    const end = oidc.buildEndSessionUrl(config, {
      post_logout_redirect_uri: "https://app.example.com/bye",
      id_token_hint: silent.id_token,
      state: "bye",
    });
    const left = await browse(end);
    const nobody = await errorOf(signIn(config, { prompt: "none" }));
    return { ...found, before, after, refused, silent: silent.claims(), left, nobody };
  },

  /** One whose ID tokens are signed with something else, and that sends its secret in the body. */
  async algorithm() {
    const algorithm = { of_es256: "ES256", of_eddsa: "EdDSA" }[id];
    const config = await discover(oidc.ClientSecretPost(secret), { id_token_signed_response_alg: algorithm });
    oidc.enableNonRepudiationChecks(config);
    const tokens = await signIn(config);
    const header = JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url"));
    return { ...(await use(config, tokens)), header };
  },

  async public() {
    const config = await discover(oidc.None());
    return await use(config, await signIn(config));
  },

  /** One that nobody has named: it registers (RFC 7591). */
  async registers() {
    const said = { redirect_uris: [redirect], client_name: "A stranger", token_endpoint_auth_method: "none" };
    const config = await oidc.dynamicClientRegistration(new URL(issuer), said, oidc.None(), insecure);
    const found = await use(config, await signIn(config));
    return { ...found, registered: config.clientMetadata() };
  },

  async itself() {
    const config = await discover(oidc.ClientSecretBasic(secret));
    const tokens = await oidc.clientCredentialsGrant(config, {});
    const introspected = await oidc.tokenIntrospection(config, tokens.access_token);
    const wrong = await discover(oidc.ClientSecretBasic("not the secret of anybody"));
    return { tokens, introspected, refused: await errorOf(oidc.clientCredentialsGrant(wrong, {})) };
  },

  async device() {
    const config = await discover(oidc.None());
    const grant = "urn:ietf:params:oauth:grant-type:device_code";
    const asked = await oidc.initiateDeviceAuthorization(config, { scope: "openid profile offline_access" });
    const early = await errorOf(oidc.genericGrantRequest(config, grant, { device_code: asked.device_code }));
    await browse(asked.verification_uri_complete);
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, asked);
    return { asked, early, tokens, claims: tokens.claims() };
  },

  /** An application asks another one, which asks the gate in the name of the person. */
  async exchange() {
    const front = await discover(oidc.ClientSecretBasic(secret));
    const { access_token } = await signIn(front, { scope: "openid" });
    const planner = await oidc.discovery(
      new URL(issuer),
      "planner",
      {},
      oidc.ClientSecretBasic("a-secret-of-the-planner"),
      insecure,
    );
    const type = "urn:ietf:params:oauth:token-type:access_token";
    const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    const resource = `${new URL(issuer).origin}/v1`;
    const given = { subject_token: access_token, subject_token_type: type, resource };
    return { tokens: await oidc.genericGrantRequest(planner, grant, given) };
  },
};

say({ found: await scenarios[scenario]() });
input.close();
