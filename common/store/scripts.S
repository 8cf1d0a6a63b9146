# SPDX-License-Identifier: Apache-2.0
# The Lua scripts, as they are, in read-only memory (see scripts.h).
        .section .rodata
        .global script_commit_begin, script_commit_end
script_commit_begin:
        .incbin "commit.lua"
script_commit_end:
        .global script_init_begin, script_init_end
script_init_begin:
        .incbin "init.lua"
script_init_end:
        .section .note.GNU-stack, "", %progbits
