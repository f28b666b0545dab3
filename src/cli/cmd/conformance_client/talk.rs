use std::error::Error;

use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientLifecycleMode, ClientServiceExt as _};

use super::{Client, Order};

/// Why a conversation did not come to its end.
pub enum Stopped {
    /// The server wants to know who asks; with its challenge.
    SignIn(String),
    /// The token is not enough for a call; with the scope that would be.
    Widen(String),
    Broken(String),
}

/// Greets the server in the era that is asked for, lists its tools and calls each.
pub async fn talk(order: &Order, client: Client) -> Result<(), Stopped> {
    let config = StreamableHttpClientTransportConfig::with_uri(order.url.as_str());
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let info = Implementation::new("mcpkeel", env!("CARGO_PKG_VERSION"));
    let me =
        ClientConfig::new(ClientCapabilities::default(), info).with_protocol_version(order.version.clone());
    let lifecycle = match order.version == ProtocolVersion::V_2026_07_28 {
        true => ClientLifecycleMode::Discover { preferred_versions: vec![order.version.clone()] },
        false => ClientLifecycleMode::Initialize,
    };
    let peer = me.serve_with_lifecycle(transport, lifecycle).await?;
    let said = async {
        for tool in peer.list_all_tools().await? {
            let call = CallToolRequestParams::new(tool.name).with_arguments(Default::default());
            peer.call_tool(call).await?;
        }
        Ok(())
    };
    let said = said.await;
    // Whether the end was clean changes nothing of what was said.
    let _ = peer.cancel().await;
    said
}

impl From<ClientInitializeError> for Stopped {
    fn from(error: ClientInitializeError) -> Self {
        match &error {
            ClientInitializeError::TransportError { error: cause, .. } => challenge(cause.error.as_ref()),
            _ => None,
        }
        .unwrap_or_else(|| Self::Broken(format!("the greeting: {error}")))
    }
}

impl From<ServiceError> for Stopped {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::TransportSend(cause) => challenge(cause.error.as_ref()),
            _ => None,
        }
        .unwrap_or_else(|| Self::Broken(error.to_string()))
    }
}

/// The challenge among the causes of an error.
fn challenge(error: &(dyn Error + 'static)) -> Option<Stopped> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(wanted) = error.downcast_ref::<AuthRequiredError>() {
            return Some(Stopped::SignIn(wanted.www_authenticate_header.clone()));
        }
        if let Some(wanted) = error.downcast_ref::<InsufficientScopeError>() {
            return Some(Stopped::Widen(wanted.get_required_scope().unwrap_or_default().to_owned()));
        }
        cause = error.source();
    }
    None
}
