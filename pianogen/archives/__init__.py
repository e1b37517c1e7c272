"""Unpack a zip or tar.gz that nobody vouches for: whole, or not at all, and never outside its folder.

    archive -> <parent>/.<target>.<host>-<pid>-…/ -> <target>

- Members become regular files and folders, written by our own code: created anew each, following no link, with
  neither owner, mode nor time from the archive. Anything else that a member may be (symbolic or hard link, device,
  fifo, sparse file) refuses the archive, as does a name that is unsafe (`names.py`).
- Members are read in pieces and counted. `Limits` bounds their number, bytes, and how much more comes out than went
  in; no single read is longer than a bound, so a header cannot ask for memory.
- An archive inside an archive stays a file. A folder that leads every name stays as well; readers cope with it.
- The first fault ends it and leaves nothing. What a killed process leaves aside goes with the next extraction of the
  same target. Files reach the disk when the system writes them: a power cut is not guarded against.

zipfile and tarfile do the decoding. What they let pass is checked here: a tar that ends in the middle of its headers
reads as complete, zip members may share bytes, and local headers may contradict the directory. tarfile's own filter
`data` would let links within the folder through, and overwrite what has the same name.
"""
