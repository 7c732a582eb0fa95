if exists("b:current_syntax")
  finish
endif

syntax keyword smltDeclaration import as const type enum fn extern dataset model task workflow test
syntax keyword smltStatement let assert after repeat while with objective
syntax keyword smltConditional if then else match
syntax keyword smltRepeat for in
syntax keyword smltException try catch
syntax keyword smltScope group
syntax keyword smltStep run train search evaluate
syntax keyword smltOperatorWord and or not
syntax keyword smltConstant true false none
syntax keyword smltType Bool Int Float String Duration Money Size Percent Uri Artifact Dataset Model List Map

syntax match smltAnnotation "@\h\w*"
syntax match smltSetting "\<\h\w*\ze\s*:"
syntax match smltNumber "\<\d[0-9_]*\(\.\d[0-9_]*\)\?\([eE][+-]\?\d\+\)\?\>"
syntax match smltUnit "\<\(\d[0-9_]*\(\.\d[0-9_]*\)\?\(ms\|min\|s\|h\|d\)\)\+\>"
syntax match smltUnit "\<\d[0-9_]*\(\.\d[0-9_]*\)\?\(KiB\|MiB\|GiB\|TiB\|KB\|MB\|GB\|TB\)\>"
syntax match smltUnit "\$\d[0-9_]*\(\.\d[0-9_]*\)\?"
syntax match smltUnit "\<\d[0-9_]*\(\.\d[0-9_]*\)\?%"
syntax match smltOperator "|>\|??\|=>\|->\|\.\.\.\?\|==\|!=\|<=\|>="

syntax region smltString start=+"+ skip=+\\.+ end=+"+ oneline contains=smltEscape,smltInterpolation
syntax match smltEscape "\\\([ntr\"\\{}]\|u{\x\{1,6}}\)" contained
syntax region smltInterpolation matchgroup=smltEscape start=+{+ end=+}+ contained oneline contains=TOP

syntax match smltComment "//.*$" contains=@Spell
syntax match smltDocComment "///\(/\)\@!.*$" contains=@Spell

highlight default link smltDeclaration Keyword
highlight default link smltStatement Statement
highlight default link smltConditional Conditional
highlight default link smltRepeat Repeat
highlight default link smltException Exception
highlight default link smltScope Statement
highlight default link smltStep Function
highlight default link smltOperatorWord Operator
highlight default link smltConstant Constant
highlight default link smltType Type
highlight default link smltAnnotation PreProc
highlight default link smltSetting Identifier
highlight default link smltNumber Number
highlight default link smltUnit Number
highlight default link smltOperator Operator
highlight default link smltString String
highlight default link smltEscape SpecialChar
highlight default link smltComment Comment
highlight default link smltDocComment SpecialComment

let b:current_syntax = "smlt"
