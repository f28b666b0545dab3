use rmcp::transport::auth::AuthorizationCallback;
use rmcp::transport::{AuthorizationManager, AuthorizationRequest, AuthorizationSession};

use super::{Order, Who, alone};

/// Where a browser would be sent back to. Nothing listens there: the answer is read from the redirect itself.
const BACK: &str = "http://127.0.0.1:33418/callback";

/// Where the suites say that a client describes itself.
const DESCRIBED_AT: &str = "https://conformance-test.local/client-metadata.json";

/// A manager that knows the server and nothing else.
pub async fn manager(order: &Order) -> Result<AuthorizationManager, String> {
    AuthorizationManager::new(order.url.as_str()).await.map_err(|error| error.to_string())
}

/// Finds out who signs people in for the server, becomes a client there, and gets a token.
///
/// Nothing is kept from an earlier time: it may be someone else who signs in now.
pub async fn sign_in(order: &Order, challenge: &str) -> Result<AuthorizationManager, String> {
    let mut manager = manager(order).await?;
    let found = manager.resolve_metadata_from_challenge(Some(challenge)).await;
    let metadata = found.map_err(|error| format!("who signs in: {error}"))?.metadata;
    manager.set_metadata(metadata.clone());
    match order.who {
        Who::Person => ask_person(order, manager, metadata.issuer).await,
        _ => alone::sign_in(order, manager, &metadata).await,
    }
}

async fn ask_person(
    order: &Order,
    manager: AuthorizationManager,
    issuer: Option<String>,
) -> Result<AuthorizationManager, String> {
    let mut request = AuthorizationRequest::new(BACK)
        .with_client_name("mcpkeel")
        .with_client_metadata_url(DESCRIBED_AT)
        .with_initial_scope_selection();
    let known = &order.known;
    let is_known_there = known.issuer.is_none() || known.issuer == issuer;
    if let Some(id) = known.client_id.as_ref().filter(|_| is_known_there) {
        request = request.with_preregistered_client(id);
        if let Some(secret) = &known.client_secret {
            request = request.with_client_secret(secret);
        }
    }
    let session = AuthorizationSession::new(manager, request).await;
    let session = session.map_err(|(_, error)| format!("sign-in: {error}"))?;
    finish(&session.auth_manager, &session.auth_url).await?;
    Ok(session.auth_manager)
}

/// Signs in once more for rights that a call turned out to need, with those that are there already.
pub async fn widen(manager: &AuthorizationManager, scope: &str) -> Result<(), String> {
    let url = manager.request_scope_upgrade(scope).await;
    finish(manager, &url.map_err(|error| format!("more rights: {error}"))?).await
}

/// Asks the person, who agrees, and turns the answer into a token.
async fn finish(manager: &AuthorizationManager, url: &str) -> Result<(), String> {
    let answer = agree(url).await.map_err(|error| format!("the page to sign in: {error}"))?;
    let exchanged = manager.exchange_code_for_token_with_issuer(
        &answer.code,
        &answer.csrf_token,
        answer.issuer.as_deref(),
    );
    exchanged.await.map_err(|error| format!("token: {error}"))?;
    Ok(())
}

/// The browser and the person in front of it: opens the page, which agrees by itself, and sees where it leads.
async fn agree(url: &str) -> Result<AuthorizationCallback, String> {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let browser = browser.map_err(|error| error.to_string())?;
    let page = browser.get(url).send().await.map_err(|error| error.to_string())?;
    let status = page.status();
    let Some(leads_to) = page.headers().get(reqwest::header::LOCATION) else {
        return Err(format!("it answers {status} and leads nowhere"));
    };
    let leads_to = leads_to.to_str().map_err(|error| error.to_string())?;
    AuthorizationCallback::from_redirect_url(leads_to).map_err(|error| error.to_string())
}
