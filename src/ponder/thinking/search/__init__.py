"""Pure pieces that searches share: who is kept, who is extended how often, who is drawn again."""
