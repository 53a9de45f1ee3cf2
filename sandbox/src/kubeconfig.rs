//! Writes the file that `kubectl` and every client library read, with all data embedded.

use crate::pki::Identity;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// What a client proves itself with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client certificate and its key.
    ClientCertificate(Identity),
    /// A bearer token.
    Token(String),
    /// Nothing: the server sees `system:anonymous`.
    Anonymous,
}

/// Writes a kubeconfig with one cluster, one user and one context, which is current.
///
/// `server` is the base URL, `ca_pem` the PEM bundle that the server's certificate is verified against.
pub fn write(server: &str, ca_pem: &str, user: &str, credential: &Credential) -> String {
    // JSON strings are YAML strings, so quoting with JSON keeps any user name or token intact.
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let user_fields = match credential {
        Credential::ClientCertificate(identity) => format!(
            "    client-certificate-data: {}\n    client-key-data: {}\n",
            BASE64_STANDARD.encode(&identity.certificate_pem),
            BASE64_STANDARD.encode(&identity.key_pem),
        ),
        Credential::Token(token) => format!("    token: {}\n", quote(token)),
        Credential::Anonymous => "    {}\n".to_owned(),
    };
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: sandbox\n\
         \x20 cluster:\n\
         \x20   server: {server}\n\
         \x20   certificate-authority-data: {ca}\n\
         users:\n\
         - name: {user}\n\
         \x20 user:\n\
         {user_fields}\
         contexts:\n\
         - name: sandbox\n\
         \x20 context:\n\
         \x20   cluster: sandbox\n\
         \x20   user: {user}\n\
         current-context: sandbox\n",
        server = quote(server),
        ca = BASE64_STANDARD.encode(ca_pem),
        user = quote(user),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text() {
        let text = write("https://127.0.0.1:6443", "CA", "a \"b\"", &Credential::Token("t\"1".into()));
        let expected = r#"apiVersion: v1
kind: Config
clusters:
- name: sandbox
  cluster:
    server: "https://127.0.0.1:6443"
    certificate-authority-data: Q0E=
users:
- name: "a \"b\""
  user:
    token: "t\"1"
contexts:
- name: sandbox
  context:
    cluster: sandbox
    user: "a \"b\""
current-context: sandbox
"#;
        assert_eq!(text, expected);
    }
}
