/** Matches names of variables that are likely to hold secrets. */
const SECRET =
  /(^|_)(TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD_FILE|CREDENTIALS?|CREDS|PAT|API_?KEY|ACCESS_?KEY(_ID)?|PRIVATE_?KEY|KEY|AUTH|COOKIE)(_|$)|(TOKEN|SECRET|PASSWORD|APIKEY)$|^(KUBECONFIG|SSH_AUTH_SOCK|DOCKER_CONFIG|NETRC|NPM_CONFIG_.*)$/i;
/** Matches a URL with a password. */
const URL_WITH_PASSWORD = /:\/\/[^/\s@]*:[^/\s@]*@/;

/**
 * Returns `env` without the user's secrets, for a process that trains or evaluates. It only needs the credentials of
 * NATS, which the caller adds.
 */
export const withoutSecrets = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(
      ([name, value = '']) => !SECRET.test(name) && !URL_WITH_PASSWORD.test(value),
    ),
  );
