//! Checks the SSF documents at `well_known_url`. These requests carry no credentials.

use futures_util::stream::{self, StreamExt};

use crate::cli::run::session::Session;
use crate::doctor::{SsfDocument, inspect};
use crate::model::integration::Integration;

/// Maximum concurrent requests per account.
const AT_ONCE: usize = 4;

/// Checks the document of each integration.
pub(crate) async fn look<'a>(
    session: &Session,
    integrations: impl IntoIterator<Item = &'a Integration>,
) -> Vec<SsfDocument> {
    let (transport, destination) = session.documents();
    let (transport, destination) = (&transport, &destination);
    let inspected = integrations
        .into_iter()
        .map(async |integration| SsfDocument {
            integration_id: integration.id,
            tenant_url: integration.settings.tenant_url.to_string(),
            findings: inspect(transport, destination, &integration.well_known_url).await,
        });
    stream::iter(inspected).buffered(AT_ONCE).collect().await
}
