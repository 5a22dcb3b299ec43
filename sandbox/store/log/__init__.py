"""The transparency log: proofs that the audit log was only ever appended to.

The entries and their leaf hashes are in the database; everything here is derived from them.  A Merkle tree
(RFC 6962) over the leaf hashes is kept in tiles on plain files (C2SP tlog-tiles), its head is signed
(C2SP signed-note, tlog-checkpoint), and every answer carries a receipt that verifies without us.

Start reading at ``transparency.py``; ``merkle.py`` is the mathematics, pure.
"""
