//! Certificate authorities and what they sign.

use podgauge_apiserver::PemPair;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate authority.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The certificate, then its intermediates.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) pem: PemPair,
}

// === impl Ca ===

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = ca_params(name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// An authority below this one, and its certificate.
    pub(crate) fn intermediate(&self, name: &str) -> (Self, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = ca_params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }, certificate.der().clone())
    }

    pub(crate) fn client(&self, common_name: &str, organizations: &[&str]) -> Identity {
        self.issue(common_name, organizations, ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(crate) fn server(&self, common_name: &str) -> Identity {
        self.issue(common_name, &[], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's whose time was over in 2001.
    pub(crate) fn expired(&self, common_name: &str) -> Identity {
        let mut params = leaf_params(common_name, &[], ExtendedKeyUsagePurpose::ClientAuth);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        self.sign(&params)
    }

    fn issue(&self, common_name: &str, organizations: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        self.sign(&leaf_params(common_name, organizations, usage))
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: PemPair {
                certificate: certificate.pem().into_bytes(),
                key: key.serialize_pem().into_bytes(),
            },
        }
    }
}

// === impl Identity ===

impl Identity {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(&self.pem.key).unwrap()
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params(
    common_name: &str,
    organizations: &[&str],
    usage: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    // rcgen keeps one value of each type; the second organization goes by its number.
    let organization_types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    assert!(organizations.len() <= organization_types.len());
    for (organization, kind) in organizations.iter().zip(organization_types) {
        params.distinguished_name.push(kind, *organization);
    }
    params.extended_key_usages = vec![usage];
    params
}
