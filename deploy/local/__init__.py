"""The whole of ReqRun on one machine: private servers, every process, one command."""
