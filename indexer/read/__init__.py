"""What the read door can be asked, by topic; `indexer.queries` is the door itself."""
