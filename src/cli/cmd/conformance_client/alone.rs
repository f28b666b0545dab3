use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rmcp::transport::auth::{AuthorizationMetadata, OAuthTokenResponse};
use rmcp::transport::{
    AuthorizationManager, ClientCredentialsConfig, CredentialStore as _, InMemoryCredentialStore,
    StoredCredentials,
};
use serde_json::{Value, json};

use super::{Order, Who};

const ASSERTED: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGED: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const CLIENT_ASSERTED: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long what we sign ourselves can be used, in seconds.
const SIGNED_FOR: u64 = 300;

/// Gets a token for which no person is asked. It is asked for once: what is refused is refused.
pub async fn sign_in(
    order: &Order,
    mut manager: AuthorizationManager,
    metadata: &AuthorizationMetadata,
) -> Result<AuthorizationManager, String> {
    let known = &order.known;
    let id = told("client_id", &known.client_id)?;
    let resource = ("resource", order.url.as_str());
    let endpoint = metadata.token_endpoint.as_str();
    let answer = match order.who {
        Who::Person | Who::Secret => return with_secret(order, manager).await,
        Who::Key => {
            let issuer = told("issuer", &metadata.issuer)?;
            let signed = sign(order, id, issuer, told("private_key_pem", &known.private_key_pem)?)?;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_assertion_type", CLIENT_ASSERTED),
                ("client_assertion", &signed),
                resource,
            ];
            ask(endpoint, &form, None).await?
        }
        Who::Workload => {
            let assertion = told("valid_jwt", &known.valid_jwt)?;
            let form = [("grant_type", ASSERTED), ("assertion", assertion), ("client_id", id), resource];
            ask(endpoint, &form, None).await?
        }
        Who::Employee => {
            let form = [
                ("grant_type", EXCHANGED),
                ("subject_token", told("idp_id_token", &known.idp_id_token)?),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
                ("requested_token_type", "urn:ietf:params:oauth:token-type:id-jag"),
                ("audience", told("issuer", &metadata.issuer)?),
                ("client_id", told("idp_client_id", &known.idp_client_id)?),
                resource,
            ];
            let vouched = ask(told("idp_token_endpoint", &known.idp_token_endpoint)?, &form, None).await?;
            let vouched = vouched["access_token"].as_str().unwrap_or_default();
            let form = [("grant_type", ASSERTED), ("assertion", vouched), resource];
            let secret = told("client_secret", &known.client_secret)?;
            ask(endpoint, &form, Some((id, secret))).await?
        }
    };
    let token: OAuthTokenResponse =
        serde_json::from_value(answer).map_err(|error| format!("token: {error}"))?;
    let store = InMemoryCredentialStore::new();
    let stored = StoredCredentials::new(id.to_owned(), Some(token), Vec::new(), None);
    store.save(stored).await.map_err(|error| error.to_string())?;
    manager.set_credential_store(store);
    Ok(manager)
}

async fn with_secret(
    order: &Order,
    mut manager: AuthorizationManager,
) -> Result<AuthorizationManager, String> {
    let config = ClientCredentialsConfig::ClientSecret {
        client_id: told("client_id", &order.known.client_id)?.to_owned(),
        client_secret: told("client_secret", &order.known.client_secret)?.to_owned(),
        scopes: manager.select_initial_scopes(&[]).await,
        resource: Some(order.url.clone()),
    };
    manager.configure_client_credentials(&config).map_err(|error| format!("sign-in: {error}"))?;
    manager.exchange_client_credentials(&config).await.map_err(|error| format!("token: {error}"))?;
    Ok(manager)
}

fn told<'a>(name: &str, value: &'a Option<String>) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("nobody said what `{name}` is"))
}

/// Says who we are, signed with our key (RFC 7523).
fn sign(order: &Order, id: &str, issuer: &str, pem: &str) -> Result<String, String> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = base64::prelude::BASE64_STANDARD.decode(body).map_err(|error| format!("the key: {error}"))?;
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &random);
    let key = key.map_err(|error| format!("the key: {error}"))?;
    let mut once = [0; 16];
    random.fill(&mut once).map_err(|_| "no random numbers".to_owned())?;
    let now = order.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({
        "iss": id, "sub": id, "aud": issuer, "jti": BASE64_URL_SAFE_NO_PAD.encode(once),
        "iat": now, "exp": now + SIGNED_FOR,
    });
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let said =
        format!("{}.{}", part(json!({ "alg": "ES256", "typ": "client-authentication+jwt" })), part(claims));
    let signature = key.sign(&random, said.as_bytes()).map_err(|error| format!("the key: {error}"))?;
    Ok(format!("{said}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// Sends a form to a token endpoint; its answer, if that is no refusal.
async fn ask(endpoint: &str, form: &[(&str, &str)], secret: Option<(&str, &str)>) -> Result<Value, String> {
    let url = reqwest::Url::parse_with_params(endpoint, form).map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| error.to_string())?;
    let mut request = client
        .post(endpoint)
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        // A query is encoded as a form is.
        .body(url.query().unwrap_or_default().to_owned());
    if let Some((id, secret)) = secret {
        request = request.basic_auth(id, Some(secret));
    }
    let answer = request.send().await.map_err(|error| format!("token: {error}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| format!("token: {error}"))?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    match status.is_success() {
        true => Ok(value),
        false => Err(format!("token: {status} {}", value["error"].as_str().unwrap_or_default())),
    }
}
