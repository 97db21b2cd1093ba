#!/usr/bin/env node
// Here before anything is built, so that npm finds a command to link.
import '../dist/cli/dag.js';
