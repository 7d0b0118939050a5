#!/usr/bin/env bash
# pki.sh FOLDER IP: a certificate authority, the API server's certificate for IP, its client
# certificate for the kubelet and the key that signs service account tokens.
set -euo pipefail
cd "$1"
umask 077
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
sign() { # NAME SUBJECT EXTENSIONS
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" -extfile <(echo "$3") 2>/dev/null
}
key ca
openssl req -x509 -new -key ca.key -subj /CN=greedy-infomax-test -days 3650 -out ca.crt -addext keyUsage=critical,keyCertSign,cRLSign
sign apiserver /CN=kube-apiserver "extendedKeyUsage=serverAuth
subjectAltName=DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:$2"
sign apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
openssl genrsa -out service-accounts.key 2048 2>/dev/null
