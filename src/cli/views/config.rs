//! The parameters of a repository.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::RepositoryId;
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::codec::chunk::ChunkSizes;
use crate::repo::config::RepositoryConfig;

/// What people may want to know of a configuration.
#[derive(Debug, Serialize)]
pub struct ConfigView {
    message_type: &'static str,
    id: RepositoryId,
    created: Timestamp,
    timezone: Option<String>,
    chunks: Chunks,
}

#[derive(Debug, Serialize)]
struct Chunks {
    files: Sizes,
    large_files: Sizes,
    databases: Sizes,
}

#[derive(Debug, Serialize)]
struct Sizes {
    min: u32,
    average: u32,
    max: u32,
}

impl Sizes {
    fn of(sizes: ChunkSizes) -> Self {
        Self { min: sizes.min, average: sizes.average, max: sizes.max }
    }

    fn text(&self) -> String {
        let size = |bytes: u32| ByteCount(u64::from(bytes));
        format!("{} on average, {} to {}", size(self.average), size(self.min), size(self.max))
    }
}

impl ConfigView {
    /// The view of a configuration.
    pub fn new(config: &RepositoryConfig) -> Self {
        Self {
            message_type: "config",
            id: config.repository,
            created: config.created,
            timezone: config.timezone.clone(),
            chunks: Chunks {
                files: Sizes::of(config.files),
                large_files: Sizes::of(config.large_files),
                databases: Sizes::of(config.database),
            },
        }
    }
}

impl View for ConfigView {
    fn text(&self) -> String {
        let zone = self.timezone.as_deref().map_or("that of each machine".to_owned(), crate::cli::text::message);
        let lines = [
            ("repository", self.id.to_string()),
            ("created", self.created.local()),
            ("time zone", zone),
            ("files", format!("chunks of {}", self.chunks.files.text())),
            ("large", format!("chunks of {}", self.chunks.large_files.text())),
            ("databases", format!("chunks of {}", self.chunks.databases.text())),
        ];
        lines.map(|(word, value)| format!("{word:<11}{value}\n")).concat()
    }
}
