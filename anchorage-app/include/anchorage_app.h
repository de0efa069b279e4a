/* The application's side of the Anchorage loader, for applications in C (docs/applications.md).
 *
 * An application runs on trial after an update. It confirms itself when it works; otherwise the next reset brings the old
 * image back. It says that it is alive, answers the tester from its state and its identity, and asks for the loader when
 * the tester wants the programming session.
 *
 * Link libanchorage_app.a. It uses no heap. With --gc-sections it takes less than 6 KiB of flash, and less than 4 KiB
 * (Cortex-M0: 4.25 KiB) for an application that calls neither anchorage_app_identity nor anchorage_app_state_record. It
 * needs what every C library for Arm has:
 * memcpy, memmove, memset, memcmp under their names of the run-time ABI (__aeabi_memcpy, ...).
 *
 * Every function checks each pointer for null and for the alignment of its type, and returns ANCHORAGE_POINTER if one is
 * wrong; nothing is written then. Otherwise a pointer has to point to an object of its type, which no interrupt and no
 * other thread uses during the call. A function that returns an error other than ANCHORAGE_FLASH has written nothing to
 * flash.
 */
#ifndef ANCHORAGE_APP_H
#define ANCHORAGE_APP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. A later one adds; it changes nothing that is here. */
#define ANCHORAGE_APP_VERSION 1

/* Result of a function. The numbers are stable. */
typedef int32_t anchorage_result;
enum {
    ANCHORAGE_OK = 0,
    ANCHORAGE_ALREADY_CONFIRMED = 1,
    ANCHORAGE_POINTER = 2,
    ANCHORAGE_LAYOUT_WRONG = 3,
    ANCHORAGE_NOT_OPEN = 4,
    ANCHORAGE_NOT_PROVISIONED = 5,
    ANCHORAGE_FLASH = 6,
    ANCHORAGE_NOT_HANDED_OVER = 7,
    ANCHORAGE_NO_TABLE = 8,
    ANCHORAGE_OUTSIDE = 9,
    ANCHORAGE_WITH_FIRMWARE = 10
};

/* What a result means, in words. */
static inline const char *anchorage_result_text(anchorage_result result)
{
    switch (result) {
    case ANCHORAGE_OK:
        return "done";
    case ANCHORAGE_ALREADY_CONFIRMED:
        return "there is no trial; nothing was written";
    case ANCHORAGE_POINTER:
        return "a pointer is null or not aligned, or a callback is missing";
    case ANCHORAGE_LAYOUT_WRONG:
        return "the layout is not the one that was generated";
    case ANCHORAGE_NOT_OPEN:
        return "anchorage_app_open did not succeed for this application";
    case ANCHORAGE_NOT_PROVISIONED:
        return "the device has no readable provisioning block";
    case ANCHORAGE_FLASH:
        return "the journal does not read, or did not take the record; the next reset confirms or reverts";
    case ANCHORAGE_NOT_HANDED_OVER:
        return "the image on trial was not started by the loader";
    case ANCHORAGE_NO_TABLE:
        return "the loader found no table that verifies";
    case ANCHORAGE_OUTSIDE:
        return "the table ends before";
    case ANCHORAGE_WITH_FIRMWARE:
        return "the table came with the firmware that is on trial; confirming that confirms both";
    default:
        return "unknown result";
    }
}

/* A part of flash: offset in the flash device. Of RAM: an address. Both in bytes. */
struct anchorage_region {
    uint32_t start;
    uint32_t length;
};

/* The board's memory map, the same numbers as the loader's. A program of the board's maker writes them to anchorage_layout.h,
 * as ANCHORAGE_LAYOUT, from the layout that was checked (docs/applications.md); docs/flash-layout.md explains each. */
struct anchorage_layout {
    uint32_t base;   /* address of offset 0 of the flash device */
    uint32_t page;   /* bytes of a page */
    uint32_t erased; /* value of an erased byte, 0 or 0xff */
    uint32_t journal_parts;
    struct anchorage_region stored;
    struct anchorage_region journal;
    struct anchorage_region progress;
    struct anchorage_region slot_a;
    struct anchorage_region slot_b;
    struct anchorage_region ram;
    uint32_t seal; /* CRC-32 over the numbers before it: a number that was changed afterwards is refused */
    uint32_t word; /* bytes that are programmed at once: a power of two, 1 to 32 */
};

/* The flash device. Each callback returns 0 when it did all of its work, and anything else when it did not.
 *
 * They are called within a function of this library only, with `context` first. Offsets count from the start of the flash
 * device. They must not call this library. A callback may feed the watchdog.
 *
 * read: any offset and length. A word that does not read (an ECC fault) has to come back as an error, not as a trap.
 * Erased words have to read as erased: where they fault, ask the blank check of the controller first.
 * program: whole words, aligned, that were not programmed since their page was erased; at most 256 bytes.
 * erase: whole sectors, aligned: a page, or where sectors are shorter a part of the journal. Needed although an application erases rarely: a full half of the journal makes room by it.
 */
struct anchorage_flash {
    void *context;
    int (*read)(void *context, uint32_t offset, void *bytes, uint32_t length);
    int (*program)(void *context, uint32_t offset, const void *bytes, uint32_t length);
    int (*erase)(void *context, uint32_t offset, uint32_t length);
};

/* An application's view of the device. Memory of the caller, which has to be initialised (a static variable, or zeros);
 * the content is the library's. */
struct anchorage_app {
    uint64_t opaque[64];
};

/* State of the image that runs. */
enum {
    ANCHORAGE_IMAGE_NONE = 0,
    ANCHORAGE_IMAGE_CONFIRMED = 1,
    ANCHORAGE_IMAGE_TRIAL = 2,
    ANCHORAGE_IMAGE_PENDING = 3,
    ANCHORAGE_IMAGE_REVERTING = 4
};

struct anchorage_state {
    uint64_t sequence;  /* sequence number of the image that runs; 0: none is known */
    uint64_t floor;     /* lowest sequence number that may be installed */
    uint8_t digest[32]; /* manifest digest of the image that runs */
    uint16_t reason;    /* why the last release was reverted or dropped (docs/errors.md); 0: it was not */
    uint8_t image;      /* ANCHORAGE_IMAGE_... */
    uint8_t reserved;   /* zero */
};

/* Bytes of a serial, its zero included. */
#define ANCHORAGE_SERIAL_LENGTH 33

struct anchorage_identity {
    uint8_t vendor[16];
    uint8_t class_id[16];
    uint8_t device[16];
    char serial[ANCHORAGE_SERIAL_LENGTH]; /* printable ASCII, ended by a zero */
    uint8_t node_address;                 /* 1 to 239 */
};

/* Bytes of the state record. */
#define ANCHORAGE_STATE_RECORD_LENGTH 112
/* Bytes of the mailbox; it is aligned to 4. */
#define ANCHORAGE_MAILBOX_LENGTH 32

/* Reads the journal; writes nothing. `layout` and `flash` are copied. A journal that does not read is no error: the state is
 * then that of a new device.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_LAYOUT_WRONG. */
anchorage_result anchorage_app_open(struct anchorage_app *app, const struct anchorage_layout *layout,
                                    const struct anchorage_flash *flash);

/* Ends the trial: the application works and is reachable. To be called once the self-test was good; without a trial it
 * writes nothing. It raises the sequence floor. A power cut within it leaves the trial as it was, or confirms.
 * ANCHORAGE_OK, ANCHORAGE_ALREADY_CONFIRMED, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN, ANCHORAGE_FLASH,
 * ANCHORAGE_NOT_HANDED_OVER. */
anchorage_result anchorage_app_confirm(struct anchorage_app *app);

/* ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN. */
anchorage_result anchorage_app_state(struct anchorage_app *app, struct anchorage_state *state);

/* Reads the identity of the device in the provisioning block; takes 1 KiB of stack for it, as the state record does. A
 * block that does not read is as none. ANCHORAGE_NOT_PROVISIONED fills it too: with zeros, the serial "unprovisioned" and the
 * default address, as data identifiers F18C and FD01 have them for such a device.
 * ANCHORAGE_OK, ANCHORAGE_NOT_PROVISIONED, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN. */
anchorage_result anchorage_app_identity(struct anchorage_app *app, struct anchorage_identity *identity);

/* The content of data identifier FD00. `max_request_length` is the longest UDS request that the application takes, bytes.
 * ANCHORAGE_OK, ANCHORAGE_POINTER, ANCHORAGE_NOT_OPEN. */
anchorage_result anchorage_app_state_record(struct anchorage_app *app, uint16_t max_request_length,
                                            uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH]);

/* Says that the application is alive, once, some seconds after it works: the loader then starts to count anew the resets
 * without such a sign. `mailbox` is the address of the mailbox; no application has to be open.
 * ANCHORAGE_OK, ANCHORAGE_POINTER. */
anchorage_result anchorage_app_alive(void *mailbox);

/* Asks the loader to stay in the programming session and to answer the tester's 10 02. Send 7F 10 78, call this, wait until
 * the frame has left, and reset (SYSRESETREQ). No application has to be open.
 * ANCHORAGE_OK, ANCHORAGE_POINTER. */
anchorage_result anchorage_app_request_loader(void *mailbox);

#ifdef __cplusplus
}
#endif

#endif
