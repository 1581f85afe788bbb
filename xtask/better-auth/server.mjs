// A real Better Auth server for development and tests: e-mail and password, anonymous sign-in, JWTs.
//
// Settings, all from the environment:
//   PORT                 where it listens, on loopback
//   DATABASE_URL         a database of its own; its tables are made here
//   BETTER_AUTH_SECRET   encrypts the signing keys: another secret, and the stored keys are lost
//   JWT_ALG              EdDSA (default), ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512
//   ROTATION_SECONDS     after this a signing key is replaced (default: never)
//   GRACE_SECONDS        how long a replaced key stays in the key set (default: Better Auth's 30 days)
//   TOKEN_EXPIRY         of a JWT, such as "2s" or "15m" (default: Better Auth's 15 minutes)
//   LEAN_PAYLOAD         0 puts the whole user into the JWT, as Better Auth does by default
//   RATE_LIMIT           1 turns Better Auth's rate limit on, as in production
//   SESSION_CACHE        1 caches sessions in cookies that are JWTs, signed with the same keys
//   NEON                 1 looks like Neon Auth: another base path and key set path, UUIDs, the admin plugin's claims
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { admin, anonymous, bearer, jwt } from "better-auth/plugins";
import pg from "pg";

const { PORT, DATABASE_URL, BETTER_AUTH_SECRET, JWT_ALG, ROTATION_SECONDS, GRACE_SECONDS, TOKEN_EXPIRY } = process.env;
for (const name of ["PORT", "DATABASE_URL", "BETTER_AUTH_SECRET"]) {
  if (!process.env[name]) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
}

// API Gateway caps all headers at 10,240 bytes and Colloquy a token at 8 KiB, while a user's `image` alone may be 20 KB.
// Better Auth adds iat, exp, iss, aud and sub.
const leanPayload = ({ user }) => ({ name: user.name, email: user.email });

// "Managed Better Auth" (https://neon.com/docs/auth): the whole user with the role of PostgREST's, and whether it is banned.
const neon = process.env.NEON === "1";
const neonPayload = ({ user }) => ({ ...user, role: "authenticated" });
const definePayload = neon ? neonPayload : process.env.LEAN_PAYLOAD !== "0" ? leanPayload : undefined;
const sessionCache = process.env.SESSION_CACHE === "1";

const options = {
  baseURL: `http://127.0.0.1:${PORT}`,
  secret: BETTER_AUTH_SECRET,
  database: new pg.Pool({ connectionString: DATABASE_URL, max: 4 }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: process.env.RATE_LIMIT === "1" },
  ...(sessionCache && { session: { cookieCache: { enabled: true, strategy: "jwt" } } }),
  ...(neon && { basePath: "/neondb/auth", advanced: { database: { generateId: "uuid" } } }),
  // A front end under development is another origin, on whatever port its tool picked.
  trustedOrigins: ["http://localhost:*", "http://127.0.0.1:*"],
  telemetry: { enabled: false },
  plugins: [
    jwt({
      jwks: {
        keyPairConfig: { alg: JWT_ALG || "EdDSA" },
        ...(neon && { jwksPath: "/.well-known/jwks.json" }),
        ...(ROTATION_SECONDS && { rotationInterval: Number(ROTATION_SECONDS) }),
        ...(GRACE_SECONDS && { gracePeriod: Number(GRACE_SECONDS) }),
      },
      jwt: {
        ...(TOKEN_EXPIRY && { expirationTime: TOKEN_EXPIRY }),
        ...(definePayload && { definePayload }),
      },
      ...(sessionCache && { sessionCookieCache: true }),
    }),
    bearer(),
    anonymous(),
    ...(neon ? [admin()] : []),
  ],
};

await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);
// To a browser `localhost` and `127.0.0.1` are two sites. A cookie goes along to another site only if it says so, and where
// such cookies are blocked only if it may be told apart by the page's site.
const acrossSites = betterAuth({
  ...options,
  advanced: {
    ...options.advanced,
    defaultCookieAttributes: { sameSite: "none", secure: true, partitioned: true },
  },
});
// The first key, before anyone asks: several who ask at once would make Better Auth mint a key for each.
await auth.api.getJwks();
const [handle, handleAcrossSites] = [auth, acrossSites].map((auth) => toNodeHandler(auth));

// Better Auth leaves CORS to the server around it. Which origins may do something is for `trustedOrigins` to say.
const local = /^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/;
const server = createServer((request, response) => {
  const { origin } = request.headers;
  response.setHeader("vary", "Origin");
  if (origin && local.test(origin)) {
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("access-control-allow-credentials", "true");
    if (request.method === "OPTIONS") {
      response.setHeader("access-control-allow-methods", "GET, POST, OPTIONS");
      response.setHeader("access-control-allow-headers", "authorization, content-type");
      response.setHeader("access-control-max-age", "600");
      response.writeHead(204).end();
      return;
    }
  }
  (request.headers["sec-fetch-site"] === "cross-site" ? handleAcrossSites : handle)(request, response);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(0));
}
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
