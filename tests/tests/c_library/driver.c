/* An application in C on a bench: it does what it is asked for on its standard input, and its flash is at the other end of
 * its standard output (main.rs). Numbers are 32 bits, in the order of this machine. */
#include "anchorage_app.h"
#ifdef WITH_TABLE
#include "anchorage_table.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const void *bytes, size_t length)
{
    if (length != 0 && fwrite(bytes, 1, length, stdout) != length) {
        exit(1);
    }
}

static void take(void *bytes, size_t length)
{
    if (fread(bytes, 1, length, stdin) != length) {
        exit(1);
    }
}

static void ask(char kind, uint32_t offset, uint32_t length)
{
    put(&kind, 1);
    put(&offset, sizeof offset);
    put(&length, sizeof length);
}

static int answer(void)
{
    unsigned char failed;
    fflush(stdout);
    take(&failed, 1);
    return failed;
}

/* What a callback has to be given. */
static int context;

static int read_flash(void *given, uint32_t offset, void *bytes, uint32_t length)
{
    ask('R', offset, length);
    if (given != &context || answer() != 0) {
        return -1;
    }
    take(bytes, length);
    return 0;
}

static int program_flash(void *given, uint32_t offset, const void *bytes, uint32_t length)
{
    ask('P', offset, length);
    put(bytes, length);
    return given == &context && answer() == 0 ? 0 : 1;
}

static int erase_flash(void *given, uint32_t offset, uint32_t length)
{
    ask('E', offset, length);
    return given == &context && answer() == 0 ? 0 : 7;
}

static const struct anchorage_flash FLASH = { &context, read_flash, program_flash, erase_flash };
static struct anchorage_app app;
static uint32_t mailbox[ANCHORAGE_MAILBOX_LENGTH / 4];

/* The result of a command, with what it gave. */
static void done(anchorage_result result, const void *bytes, uint32_t length)
{
    ask('D', (uint32_t)result, length);
    put(bytes, length);
    fflush(stdout);
}

/* Every function with a pointer that is wrong: the results, in order. */
static void misuse(const struct anchorage_layout *layout)
{
    struct anchorage_app other = { { 0 } };
    struct anchorage_flash flash = FLASH;
    struct anchorage_state state;
    struct anchorage_identity identity;
    uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH];
    char *odd = (char *)&other + 1;
    anchorage_result results[32];
    uint32_t count = 0;

    results[count++] = anchorage_app_open(NULL, layout, &FLASH);
    results[count++] = anchorage_app_open((struct anchorage_app *)(void *)odd, layout, &FLASH);
    results[count++] = anchorage_app_open(&other, NULL, &FLASH);
    results[count++] = anchorage_app_open(&other, (const struct anchorage_layout *)(void *)odd, &FLASH);
    results[count++] = anchorage_app_open(&other, layout, NULL);
    results[count++] = anchorage_app_open(&other, layout, (const struct anchorage_flash *)(void *)odd);
    flash.read = NULL;
    results[count++] = anchorage_app_open(&other, layout, &flash);
    flash = FLASH;
    flash.program = NULL;
    results[count++] = anchorage_app_open(&other, layout, &flash);
    flash = FLASH;
    flash.erase = NULL;
    results[count++] = anchorage_app_open(&other, layout, &flash);
    results[count++] = anchorage_app_confirm(NULL);
    results[count++] = anchorage_app_confirm((struct anchorage_app *)(void *)odd);
    results[count++] = anchorage_app_state(NULL, &state);
    results[count++] = anchorage_app_state(&app, NULL);
    results[count++] = anchorage_app_state(&app, (struct anchorage_state *)(void *)odd);
    results[count++] = anchorage_app_identity(NULL, &identity);
    results[count++] = anchorage_app_identity(&app, NULL);
    results[count++] = anchorage_app_state_record(NULL, 256, record);
    results[count++] = anchorage_app_state_record(&app, 256, NULL);
    results[count++] = anchorage_app_alive(NULL);
    results[count++] = anchorage_app_alive(odd);
    results[count++] = anchorage_app_request_loader(NULL);
    results[count++] = anchorage_app_request_loader(odd);
    done((anchorage_result)count, results, count * (uint32_t)sizeof results[0]);

    /* None of the attempts opened it. */
    count = 0;
    results[count++] = anchorage_app_confirm(&other);
    results[count++] = anchorage_app_state(&other, &state);
    results[count++] = anchorage_app_identity(&other, &identity);
    results[count++] = anchorage_app_state_record(&other, 256, record);
    done((anchorage_result)count, results, count * (uint32_t)sizeof results[0]);
}

#ifdef WITH_TABLE
static struct anchorage_table table;

/* The commands for a table; 0: it is none of them. */
static int table_command(int command)
{
    struct anchorage_layout layout;
    struct anchorage_table_found found;
    uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH];
    uint32_t range[2];
    static uint8_t bytes[65536];
    anchorage_result result;

    memset(&found, 0xEE, sizeof found);
    memset(record, 0xEE, sizeof record);
    memset(bytes, 0xEE, sizeof bytes);
    switch (command) {
    case 'O':
        take(&layout, sizeof layout);
        take(mailbox, sizeof mailbox);
        done(anchorage_table_open(&table, &layout, &FLASH, mailbox), NULL, 0);
        return 1;
    case 'F':
        result = anchorage_table_find(&table, &found);
        if (result == ANCHORAGE_OK) {
            record[0] = found.on_trial ? 1 : 0;
            memcpy(record + 1, &found.sequence, 8);
            memcpy(record + 9, &found.address, 4);
            memcpy(record + 13, &found.length, 4);
        }
        done(result, record, result == ANCHORAGE_OK ? 17 : 0);
        return 1;
    case 'B':
        take(range, sizeof range);
        result = anchorage_table_read(&table, range[0], bytes, range[1]);
        done(result, bytes, result == ANCHORAGE_OK ? range[1] : 0);
        return 1;
    case 'C':
        done(anchorage_table_confirm(&table), NULL, 0);
        return 1;
    case 'S':
        result = anchorage_table_state_record(&table, 256, record);
        done(result, record, sizeof record);
        return 1;
    default:
        return 0;
    }
}

/* Every function of the table with a pointer that is wrong, and with a table that is not open. */
static void misuse_table(const struct anchorage_layout *layout)
{
    struct anchorage_table other = { { 0 } };
    struct anchorage_table_found found;
    struct anchorage_flash flash = FLASH;
    uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH];
    char *odd = (char *)&other + 1;
    anchorage_result results[32];
    uint32_t count = 0;

    results[count++] = anchorage_table_open(NULL, layout, &FLASH, mailbox);
    results[count++] = anchorage_table_open((struct anchorage_table *)(void *)odd, layout, &FLASH, mailbox);
    results[count++] = anchorage_table_open(&other, NULL, &FLASH, mailbox);
    results[count++] = anchorage_table_open(&other, layout, NULL, mailbox);
    results[count++] = anchorage_table_open(&other, layout, &FLASH, NULL);
    results[count++] = anchorage_table_open(&other, layout, &FLASH, odd);
    flash.erase = NULL;
    results[count++] = anchorage_table_open(&other, layout, &flash, mailbox);
    results[count++] = anchorage_table_find(NULL, &found);
    results[count++] = anchorage_table_find(&table, NULL);
    results[count++] = anchorage_table_read(NULL, 0, record, 1);
    results[count++] = anchorage_table_read(&table, 0, NULL, 1);
    results[count++] = anchorage_table_confirm(NULL);
    results[count++] = anchorage_table_state_record(NULL, 256, record);
    results[count++] = anchorage_table_state_record(&table, 256, NULL);
    done((anchorage_result)count, results, count * (uint32_t)sizeof results[0]);

    count = 0;
    results[count++] = anchorage_table_find(&other, &found);
    results[count++] = anchorage_table_read(&other, 0, record, 1);
    results[count++] = anchorage_table_confirm(&other);
    results[count++] = anchorage_table_state_record(&other, 256, record);
    done((anchorage_result)count, results, count * (uint32_t)sizeof results[0]);
}
#endif

int main(void)
{
    struct anchorage_layout layout;
    struct anchorage_state state;
    struct anchorage_identity identity;
    uint8_t record[ANCHORAGE_STATE_RECORD_LENGTH];
    anchorage_result result;
    int command;

    memset(&layout, 0, sizeof layout);
    while ((command = getchar()) != EOF) {
#ifdef WITH_TABLE
        if (table_command(command)) {
            continue;
        }
        if (command == 'M') {
            misuse_table(&layout);
            continue;
        }
#endif
        memset(&state, 0xEE, sizeof state);
        memset(&identity, 0xEE, sizeof identity);
        memset(record, 0xEE, sizeof record);
        switch (command) {
        case 'o':
            take(&layout, sizeof layout);
            done(anchorage_app_open(&app, &layout, &FLASH), NULL, 0);
            break;
        case 'c':
            done(anchorage_app_confirm(&app), NULL, 0);
            break;
        case 's':
            result = anchorage_app_state(&app, &state);
            done(result, &state, sizeof state);
            break;
        case 'i':
            result = anchorage_app_identity(&app, &identity);
            done(result, &identity, sizeof identity);
            break;
        case 'r':
            result = anchorage_app_state_record(&app, 256, record);
            done(result, record, sizeof record);
            break;
        case 'a':
            memset(mailbox, 0xEE, sizeof mailbox);
            result = anchorage_app_alive(mailbox);
            done(result, mailbox, sizeof mailbox);
            break;
        case 'l':
            memset(mailbox, 0xEE, sizeof mailbox);
            result = anchorage_app_request_loader(mailbox);
            done(result, mailbox, sizeof mailbox);
            break;
        case 'm':
            misuse(&layout);
            break;
        case 't':
            take(&result, sizeof result);
            {
                const char *text = anchorage_result_text(result);
                done(0, text, (uint32_t)strlen(text));
            }
            break;
        default:
            return 2;
        }
    }
    return 0;
}
