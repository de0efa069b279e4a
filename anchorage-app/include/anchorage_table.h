/* The table of an application in C (docs/tables.md): data that the loader installs, verifies and reverts beside the firmware.
 *
 * It needs a library that was exported with --remap. What anchorage_app.h says of pointers, flash and threads holds here too.
 *
 * A new table is on trial: the application looks at it and confirms it; otherwise the next reset brings the one before it
 * back. The loader verifies the table at each start, and says in the mailbox where it found one.
 */
#ifndef ANCHORAGE_TABLE_H
#define ANCHORAGE_TABLE_H

#include "anchorage_app.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A table. Memory of the caller, which has to be initialised (a static variable, or zeros); the content is the library's. */
struct anchorage_table {
    uint64_t opaque[64];
};

/* The table that the loader verified at this start. */
struct anchorage_table_found {
    uint64_t sequence; /* its sequence number */
    uint32_t address;  /* of its first byte, where flash is mapped */
    uint32_t length;   /* bytes */
    bool on_trial;     /* a reset before anchorage_table_confirm brings the one before it back */
};

/* Reads the journal of the table; writes nothing. `layout` is that of the table, `mailbox` the address of the mailbox: to be
 * called before anything is written there. Both, and `flash`, are copied.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_LAYOUT_WRONG. */
anchorage_result anchorage_table_open(struct anchorage_table *table, const struct anchorage_layout *layout,
                                      const struct anchorage_flash *flash, const void *mailbox);

/* The table. ANCHORAGE_NO_TABLE writes nothing: the application goes by its defaults.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN, ANCHORAGE_NO_TABLE. */
anchorage_result anchorage_table_find(struct anchorage_table *table, struct anchorage_table_found *found);

/* Reads `length` bytes of the table from `offset` on, through the flash driver: for flash that is not mapped.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN, ANCHORAGE_NO_TABLE, ANCHORAGE_OUTSIDE, ANCHORAGE_FLASH. */
anchorage_result anchorage_table_read(struct anchorage_table *table, uint32_t offset, void *bytes, uint32_t length);

/* Ends the trial: the application works with this table. It raises the sequence floor of tables.
 * ANCHORAGE_WITH_FIRMWARE: the table came with the firmware that is on trial, in one release. Nothing is written; to confirm
 * that firmware confirms both, and without it the next reset brings both back.
 * ANCHORAGE_OK, ANCHORAGE_WITH_FIRMWARE, ANCHORAGE_ALREADY_CONFIRMED, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN, ANCHORAGE_FLASH,
 * ANCHORAGE_NOT_HANDED_OVER. */
anchorage_result anchorage_table_confirm(struct anchorage_table *table);

/* The content of data identifier FD04; `max_request_length`: the longest request that the application takes.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN. */
anchorage_result anchorage_table_state_record(struct anchorage_table *table, uint16_t max_request_length,
                                              uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH]);

#ifdef __cplusplus
}
#endif

#endif
