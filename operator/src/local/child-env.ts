/** Names of variables that hold secrets, as far as a name tells. */
const SECRET =
  /(^|_)(TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD_FILE|CREDENTIALS?|CREDS|PAT|API_?KEY|ACCESS_?KEY(_ID)?|PRIVATE_?KEY|KEY|AUTH|COOKIE)(_|$)|(TOKEN|SECRET|PASSWORD|APIKEY)$|^(KUBECONFIG|SSH_AUTH_SOCK|DOCKER_CONFIG|NETRC|NPM_CONFIG_.*)$/i;
/** A URL with a password. */
const URL_WITH_PASSWORD = /:\/\/[^/\s@]*:[^/\s@]*@/;

/**
 * The environment of a process that trains or evaluates: `env` without secrets of the user. Such a process needs the
 * credentials of NATS alone, which the caller adds.
 */
export const withoutSecrets = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(env).filter(
      ([name, value = '']) => !SECRET.test(name) && !URL_WITH_PASSWORD.test(value),
    ),
  );
