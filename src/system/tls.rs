use std::sync::Once;

/// Chooses ring for all TLS of this process. Call it before the first connection is made.
pub fn choose_tls() {
    static CHOICE: Once = Once::new();
    CHOICE.call_once(|| {
        // Refused only when there is a choice already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
