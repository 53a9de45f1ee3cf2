//! Writes and reads the file that `kubectl` and every client library read, with all data embedded.

use crate::pki::Identity;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

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

/// What the current context of a kubeconfig says.
#[derive(Clone, Debug)]
pub struct Access {
    /// The context's name.
    pub context: String,
    /// The API server's base URL.
    pub server: String,
    /// What its certificate is verified against, PEM. `None` if the file says to verify nothing.
    pub ca_pem: Option<String>,
    /// The name that its certificate must carry, if it is not the URL's.
    pub server_name: Option<String>,
    /// What to prove oneself with.
    pub credential: Credential,
}

/// A kubeconfig that says too little, or in a way that is not read here.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text is no YAML.
    #[error("the kubeconfig is no YAML: {0}")]
    Yaml(String),
    /// Something is not there.
    #[error("the kubeconfig has no {0}")]
    Missing(&'static str),
    /// Something is there and cannot be used.
    #[error("the kubeconfig's {0} is no base64 of a text")]
    Data(&'static str),
    /// The credential comes from elsewhere.
    #[error(
        "the kubeconfig's user {0:?} has neither a client certificate nor a token in it; \
         make one that has, for instance with `kubectl create token`"
    )]
    Credential(String),
}

/// Reads the current context. Certificates, keys and tokens must be in the text itself, as `kubectl config view --flatten`
/// puts them there.
///
/// # Errors
/// [`ReadError`].
pub fn read(text: &str) -> Result<Access, ReadError> {
    let config: Value = serde_saphyr::from_str(text).map_err(|error| ReadError::Yaml(error.to_string()))?;
    let named = |list: &str, field: &str, name: &Value| {
        let mut entries = config[list].as_array().into_iter().flatten();
        entries.find(|entry| entry["name"] == *name).map(|entry| entry[field].clone())
    };
    let context = config["current-context"].as_str().ok_or(ReadError::Missing("current context"))?;
    let chosen = named("contexts", "context", &config["current-context"])
        .ok_or(ReadError::Missing("context of the name that is current"))?;
    let cluster = named("clusters", "cluster", &chosen["cluster"])
        .ok_or(ReadError::Missing("cluster of the name that the context gives"))?;
    let user = named("users", "user", &chosen["user"]).unwrap_or_default();
    let ca_pem = match cluster["insecure-skip-tls-verify"].as_bool() {
        Some(true) => None,
        _ => Some(
            data(&cluster, "certificate-authority-data")?
                .ok_or(ReadError::Missing("certificate-authority-data"))?,
        ),
    };
    let certificate = data(&user, "client-certificate-data")?.zip(data(&user, "client-key-data")?);
    let credential = match (certificate, user["token"].as_str()) {
        (Some((certificate_pem, key_pem)), _) => {
            Credential::ClientCertificate(Identity { certificate_pem, key_pem })
        }
        (None, Some(token)) => Credential::Token(token.to_owned()),
        (None, None) => {
            return Err(ReadError::Credential(chosen["user"].as_str().unwrap_or_default().to_owned()));
        }
    };
    Ok(Access {
        context: context.to_owned(),
        server: cluster["server"].as_str().ok_or(ReadError::Missing("server"))?.to_owned(),
        ca_pem,
        server_name: cluster["tls-server-name"].as_str().map(str::to_owned),
        credential,
    })
}

fn data(object: &Value, field: &'static str) -> Result<Option<String>, ReadError> {
    let Some(text) = object[field].as_str() else { return Ok(None) };
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| ReadError::Data(field))?;
    String::from_utf8(bytes).map(Some).map_err(|_| ReadError::Data(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let identity = Identity { certificate_pem: "CERT".into(), key_pem: "KEY".into() };
        let check = |credential: Credential| {
            let text = write("https://127.0.0.1:6443", "CA", "a \"b\"", &credential);
            let access = read(&text).unwrap();
            assert_eq!(
                (access.server.as_str(), access.ca_pem.as_deref()),
                ("https://127.0.0.1:6443", Some("CA"))
            );
            assert_eq!(format!("{:?}", access.credential), format!("{credential:?}"));
        };
        check(Credential::ClientCertificate(identity));
        check(Credential::Token("t\"1".into()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |change: (&str, &str), expected: &str| {
            let text = write("https://h", "CA", "u", &Credential::Token("t".into()));
            let error = read(&text.replace(change.0, change.1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(("current-context: sandbox", ""), "no current context");
        check(
            ("current-context: sandbox", "current-context: other"),
            "no context of the name that is current",
        );
        check(("cluster: sandbox", "cluster: other"), "no cluster of the name");
        check(("certificate-authority-data: Q0E=", "a: b"), "no certificate-authority-data");
        check(("Q0E=", "\"*\""), "certificate-authority-data is no base64");
        check(
            ("token: \"t\"", "exec: {command: x}"),
            "user \"u\" has neither a client certificate nor a token",
        );
        check(("apiVersion: v1", "]"), "no YAML");
    }

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
