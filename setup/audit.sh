#!/usr/bin/env bash
# Checks shipped packages for known vulnerabilities at the npm registry, and fails on a high or critical one.
# Reports a registry without that service, such as a mirror, without failing.
set -euo pipefail
cd "$(dirname "$0")/.."
report=$(npm audit --omit=dev --audit-level=high --fetch-retries=0 --fetch-timeout=20000 2>&1) && {
  echo 'audit: no high or critical vulnerability is known in what is shipped'
  exit
}
if grep -q 'audit endpoint returned an error\|ENOTFOUND\|EAI_AGAIN\|ECONNREFUSED\|ETIMEDOUT' <<<"$report"; then
  echo 'audit: skipped, as this npm registry does not answer audits; test/images/packages.test.ts still checks the list'
  exit
fi
printf '%s\n' "$report" >&2
exit 1
