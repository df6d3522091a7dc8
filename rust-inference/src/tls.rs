//! TLS in Rust alone: the machine's own certificates, so that a company's proxy works, and ciphers of Graviola's, which need
//! no C compiler but a processor of the last ten years.

use rustls_native_certs::CertificateResult;

/// What TLS needs, or why it cannot be had.
pub(crate) fn certificates() -> Result<CertificateResult, &'static str> {
    if !able() {
        return Err(
            "this program's TLS needs a processor with AES and AVX2, or ARM's AES and SHA2",
        );
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("this machine has no certificates; set SSL_CERT_FILE");
    }
    Ok(found)
}

/// Whether the processor has what Graviola needs, which would end the program otherwise.
fn able() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("aes")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("adx");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
        && std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}
