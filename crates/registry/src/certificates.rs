//! Whose certificates are believed: the machine's authorities, and what /etc/docker/certs.d/HOST[:PORT]/ has for one
//! registry alone, as Docker has it: `*.crt` is an authority more, `NAME.cert` with `NAME.key` is what we show.
//!
//! A certificate that does not read is an error here, since the TLS library would take it for a mistake of ours.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::settings::{Endpoint, Settings};
use crate::{RegistryError, Result};

/// The one provider of ciphers.
fn ciphers() -> Arc<CryptoProvider> {
    static CIPHERS: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(CIPHERS.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// The machine's authorities, read once.
fn authorities() -> &'static [Certificate<'static>] {
    static ALL: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ALL.get_or_init(|| {
        // A file among them that does not read is none of our business; without any, no registry is believed.
        let found = rustls_native_certs::load_native_certs();
        found.certs.iter().map(|one| Certificate::from_der(one.as_ref()).to_owned()).collect()
    })
}

/// How TLS is spoken with `endpoint`.
pub(crate) fn tls(settings: &Settings, endpoint: &Endpoint) -> Result<TlsConfig> {
    let origin = &endpoint.origin;
    let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(ciphers());
    if !origin.https {
        return Ok(tls.root_certs(RootCerts::new_with_certs(&[])).build());
    }
    let (mut roots, mut shown) = (Vec::new(), None);
    for name in [origin.bracketed(), origin.with_port()] {
        let Ok(entries) = std::fs::read_dir(settings.certificates.join(name)) else { continue };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => roots.extend(certificates(&path)?),
                Some("cert") => shown = Some(client(&path)?),
                Some("key") if !path.with_extension("cert").exists() => {
                    return Err(unusable(&path, "there is no certificate (.cert) for it"));
                }
                _ => {}
            }
        }
    }
    if endpoint.verify {
        roots.extend_from_slice(authorities());
    } else {
        tls = tls.disable_verification(true);
    }
    Ok(tls.root_certs(RootCerts::new_with_certs(&roots)).client_cert(shown).build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let bytes = read(path)?;
    let mut all = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => all.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(unusable(path, &error.to_string())),
        }
    }
    if all.is_empty() {
        return Err(unusable(path, "there is no certificate in it"));
    }
    Ok(all)
}

/// A certificate and its key, which must belong together.
fn client(path: &Path) -> Result<ClientCert> {
    let key_path = path.with_extension("key");
    let chain = certificates(path)?;
    let bytes = read(&key_path)?;
    let no_key = |_| unusable(&key_path, "there is no key in it");
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(no_key)?;
    let signing =
        ciphers().key_provider.load_private_key(key).map_err(|e| unusable(&key_path, &e.to_string()))?;
    let as_der = chain.iter().map(|one| CertificateDer::from(one.der().to_vec())).collect();
    rustls::sign::CertifiedKey::new(as_der, signing)
        .keys_match()
        .map_err(|_| unusable(&key_path, "it is not the key of the certificate beside it"))?;
    let key = PrivateKey::from_pem(&bytes).map_err(|_| unusable(&key_path, "there is no key in it"))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> RegistryError {
    RegistryError::Invalid(format!("cannot use {}: {why}", path.display()))
}
