package document

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxNesting bounds how deep an expression's tree can become. HCL's parser and
// evaluation call themselves for each level, and a program whose stack is used
// up cannot be rescued.
const maxNesting = 500

// maxLoops bounds "for" inside of "for".
const maxLoops = 1

// CheckTokens reports what no profile needs, and what would take HCL more memory
// than there is: expressions of a great depth, and numbers of a great length.
func CheckTokens(tokens hclsyntax.Tokens) hcl.Diagnostics {
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenNumberLit && hugeNumber(string(t.Bytes)) {
			return problemAt(t.Range, "Number too large", tooLarge)
		}
	}
	if at, deep := tooDeep(tokens); deep {
		return problemAt(at, "Nested too deeply", "The brackets or operators in front of this are too many for one expression, or a loop stands in a loop. Put parts of it into locals.")
	}
	return nil
}

// CheckHCL is CheckTokens of a file in HCL. Most files have too few brackets and
// operators to be worth the lexer's time.
func CheckHCL(src []byte, name string) hcl.Diagnostics {
	signs, digits, unusual := 0, 0, bytes.Contains(src, []byte("for"))
	for i, c := range src {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == 'e' || c == 'E':
			unusual = unusual || i > 0 && src[i-1] >= '0' && src[i-1] <= '9' || i > 0 && src[i-1] == '.'
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte(" \t\r\n_.,:\"", c) >= 0:
		default:
			signs++
		}
	}
	// A bracket counts twice, for itself and for what it encloses.
	if 2*signs <= maxNesting && digits <= maxDigits && !unusual {
		return nil
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	return CheckTokens(tokens)
}

const tooLarge = "This number has more digits than any attribute can hold."

func problemAt(at hcl.Range, summary, detail string) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Subject: &at, Summary: summary, Detail: detail}}
}

// maxDigits bounds the digits of a number, written or meant by its exponent.
const maxDigits = 400

// hugeNumber says whether a decimal number is beyond the bound.
func hugeNumber(text string) bool {
	if len(text) > maxDigits {
		return true
	}
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return false
	}
	exponent, err := strconv.Atoi(text[i+1:])
	return err != nil || exponent > maxDigits || exponent < -maxDigits
}

// tooDeep finds where the tokens of HCL nest more deeply than any profile does:
// by brackets, by operators in a row, or by template sequences.
func tooDeep(tokens hclsyntax.Tokens) (hcl.Range, bool) {
	type level struct {
		open hclsyntax.TokenType
		rows int // operators and the like since the expression began
		loop bool
	}
	levels := []level{{}}
	depth, loops := 0, 0
	before := hclsyntax.TokenNil // but for line breaks and comments
	for _, t := range tokens {
		top := &levels[len(levels)-1]
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			top.rows++
			depth += 2
			levels = append(levels, level{open: t.Type, rows: 1})
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			if len(levels) > 1 {
				if depth -= top.rows; top.loop {
					loops--
				}
				levels = levels[:len(levels)-1]
			}
		case hclsyntax.TokenComma:
			depth -= top.rows
			top.rows = 0
		case hclsyntax.TokenNewline:
			if top.open == hclsyntax.TokenOBrace || len(levels) == 1 {
				depth -= top.rows
				top.rows = 0
			}
		case hclsyntax.TokenIdent:
			// for stands behind its bracket. Loops in loops take the product of their
			// lengths in time.
			if string(t.Bytes) == "for" && before == top.open && !top.loop {
				top.loop = true
				if loops++; loops > maxLoops && (top.open == hclsyntax.TokenOBrack || top.open == hclsyntax.TokenOBrace) {
					return t.Range, true
				}
			}
		case hclsyntax.TokenNumberLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenDot, hclsyntax.TokenColon, hclsyntax.TokenEqual, hclsyntax.TokenComment, hclsyntax.TokenEOF:
		default:
			top.rows++
			depth++
		}
		if depth > maxNesting {
			return t.Range, true
		}
		if t.Type != hclsyntax.TokenNewline && t.Type != hclsyntax.TokenComment {
			before = t.Type
		}
	}
	return hcl.Range{}, false
}
