"""The only room that sends transactions. Signed bytes are stored before they are broadcast."""
