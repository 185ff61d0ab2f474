//! The tables of documents: one for each sort, all of the same form.

use tollgate_core::access::Holder;
use tollgate_core::addition::Addition;
use tollgate_core::approval::Approval;
use tollgate_core::contract::ToolContract;
use tollgate_core::document::{Document, DocumentRef, Kind};
use tollgate_core::identity::{Login, SigningKey};
use tollgate_core::ports::{Change, Stored};

use crate::StoreError;

/// What is asked of the table of a sort of documents. The text is the same in SQLite and PostgreSQL.
pub(crate) trait Table: Document {
    /// What was changed after a change.
    const READ: &'static str;
    /// Makes a row, or one anew whose document was removed: a name that was removed may be given again.
    const MAKE: &'static str;
    /// Replaces or removes a document where it is still of the version that was read.
    const REPLACE: &'static str;
}

macro_rules! table {
    ($document:ty, $table:literal) => {
        impl Table for $document {
            const READ: &'static str = concat!(
                "SELECT kind, id, change, document FROM ",
                $table,
                " WHERE change > $1 ORDER BY change LIMIT $2"
            );
            const MAKE: &'static str = concat!(
                "INSERT INTO ",
                $table,
                " (kind, id, change, document, hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, id) DO UPDATE \
                 SET change = excluded.change, document = excluded.document, hash = excluded.hash WHERE ",
                $table,
                ".document IS NULL"
            );
            const REPLACE: &'static str = concat!(
                "UPDATE ",
                $table,
                " SET change = $3, document = $4, hash = $5 WHERE kind = $1 AND id = $2 AND change = $6 AND document IS NOT NULL"
            );
        }
    };
}

table!(Holder, "holders");
table!(Addition, "additions");
table!(ToolContract, "contracts");
table!(Approval, "approvals");
table!(Login, "logins");
table!(SigningKey, "signing_keys");

/// A row as it is read.
pub(super) fn stored<D: Table>(
    kind: &str,
    id: &str,
    change: i64,
    document: Option<&str>,
) -> Result<Stored<D>, StoreError> {
    let unreadable = |why: String| StoreError::Unreadable { what: format!("{kind} {id:?}"), why };
    let kind = D::Kind::KINDS.iter().copied().find(|known| known.word() == kind);
    let kind = kind.ok_or_else(|| unreadable("of a kind that this version does not know".to_owned()))?;
    let document = document.map(serde_json::from_str::<D>).transpose();
    Ok(Stored {
        name: DocumentRef { kind, id: id.into() },
        change: Change::try_from(change).unwrap_or(0),
        document: document.map_err(|error| unreadable(error.to_string()))?,
    })
}
